package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yett/examples/psa"
	"yett/internal/config"
	"yett/internal/control/plan"
)

// environment is that of an Express gateway as people have it, with values that are easily found.
const environment = `# the gateway
PORT=34567
SERVICE_NAME=gate-of-somebody
NODE_ENV=production
export LOG_LEVEL=warn
LOG_FILE=stdout
JWT_SECRET='0123456789abcdef0123456789abcdef'
ALLOWED_ORIGINS=https://one.example,https://two.example
REDIS_HOST=redis.internal
REDIS_PASSWORD=geheimes-wort
RATE_LIMIT_WINDOW_MS=120000
RATE_LIMIT_MAX_REQUESTS=321
RATE_LIMIT_AUTH_MAX=17
CIRCUIT_BREAKER_TIMEOUT=4321
CIRCUIT_BREAKER_ERROR_THRESHOLD=66
CIRCUIT_BREAKER_RESET_TIMEOUT=12345
AUTH_SERVICE_URL=http://auth.internal:81
CRM_SERVICE_URL=http://crm.internal:82
TICKETS_SERVICE_URL=http://tickets.internal:83
BILLING_SERVICE_URL=http://billing.internal:84
PROJECTS_SERVICE_URL=http://projects.internal:85
ASSETS_SERVICE_URL=http://assets.internal:86
REPORTS_SERVICE_URL=http://reports.internal:87
`

// TestInitFromEnv holds what is written against the example platform's configuration, which is the
// measure of what the old gateway did.
func TestInitFromEnv(t *testing.T) {
	table, err := os.ReadFile("../../examples/psa/access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t, map[string]string{".env": environment, "access.yaml": string(table)})
	got := call(t, nil, "init", "--from-env", ".env", "-o", "yett.yaml")
	if got.code != exitOK || got.stdout != "" || !strings.Contains(got.stderr, "NODE_ENV is not read") || !strings.Contains(got.stderr, "http://localhost:34567/health") {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile("yett.yaml")
	if err != nil {
		t.Fatal(err)
	}
	variables, problems := config.ParseDotenv(".env", environment)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, value := range variables {
		if len(value) > 2 && value != "stdout" && value != "warn" && value != "production" && strings.Contains(string(text), value) {
			t.Errorf("the value of %s is in the configuration", name)
		}
	}
	if got := call(t, nil, "check"); got.code != exitOK || !strings.Contains(got.stdout, "26 routes, 8 services") {
		t.Errorf("%+v", got)
	}
	want, err := config.Parse("psa.yaml", psa.Config(), config.MapEnv(variables))
	if err != nil {
		t.Fatal(err)
	}
	is, err := config.Load("yett.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	// The old services have no documents.
	expected := map[string]bool{"docs ": true, "policy validate": true, "service auth": true, "service users": true, "service crm": true, "service tickets": true}
	for _, c := range plan.Compare(want, is).Changes {
		for _, f := range c.Fields {
			if c.Kind == "service" && f.Path != "openapi.path" {
				t.Errorf("service %s: %+v", c.Name, f)
			}
		}
		if key := c.Kind + " " + c.Name; !expected[key] {
			t.Errorf("%+v", c)
		}
	}
	if got := call(t, nil, "test", "access.yaml"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
}

func TestInitFromEnvServices(t *testing.T) {
	for _, test := range []struct {
		env  string
		want string // of yett check
		has  []string
	}{
		{"TICKETS_SERVICE_URL=http://t:1\n", "19 routes, 1 service", []string{"AUTH_SERVICE_URL is not set, so its service has no routes; the old one took http://localhost:3001", "JWT_SECRET is not set there", "REDIS_HOST is not set"}},
		{"AUTH_SERVICE_URL=http://t:1\nBILLING_SERVICE_URL=\n", "19 routes, 2 services", []string{"BILLING_SERVICE_URL is not set"}},
		{"PORT=0\n", "22 routes, 4 services", []string{"no address of a service is set"}},
		{"REPORTS_SERVICE_URL=http://r\nREDIS_HSOT=x\nNOTIFICATIONS_SERVICE_URL=x\nJEST=1\nLOG_LEVEL=verbose\nRATE_LIMIT_GLOBAL_MAX=3\nRATE_LIMIT_MAX_REQUESTS=4\n", "18 routes, 1 service", []string{
			"REDIS_HSOT (line 2) is read by nobody: did you mean REDIS_HOST?", "NOTIFICATIONS_SERVICE_URL (line 3) is of a service that the old one had no routes for",
			"JEST (line 4) is read by nobody\n", "LOG_LEVEL names a level that is none here: the configuration says debug", "RATE_LIMIT_MAX_REQUESTS has no effect beside RATE_LIMIT_GLOBAL_MAX"}},
	} {
		inFolder(t, map[string]string{".env": test.env})
		got := call(t, nil, "init", "--from-env", ".env", "-o", "yett.yaml")
		text, err := os.ReadFile("yett.yaml")
		if err != nil || got.code != exitOK {
			t.Fatalf("%v %+v", err, got)
		}
		for _, want := range test.has {
			if !strings.Contains(string(text), "#   - "+want) {
				t.Errorf("%q is not in the file", want)
			}
		}
		secret := env{"JWT_SECRET": "0123456789abcdef0123456789abcdef"}
		if got := call(t, secret, "check"); got.code != exitOK || !strings.Contains(got.stdout, test.want) {
			t.Errorf("want %s, got %+v", test.want, got)
		}
		if got := call(t, nil, "check"); got.code == exitOK {
			t.Error("without a secret it passes")
		}
	}
}

func TestInitFromEnvElsewhere(t *testing.T) {
	inFolder(t, map[string]string{"old/.env": environment, "old/prod.env": environment})
	for file, beside := range map[string]string{"old/.env": ".env", "old/prod.env": "old/.env"} {
		output := filepath.Join(filepath.Dir(beside), "yett.yaml")
		if got := call(t, nil, "init", "--from-env", file, "-o", output); got.code != exitOK || !strings.Contains(got.stderr, file+" is not where variables are looked for, which is "+beside) {
			t.Errorf("%+v", got)
		}
	}
	if got := call(t, nil, "init", "--from-env", "old/.env"); got.code != exitOK || !strings.HasPrefix(got.stdout, "# Written by yett init --from-env") {
		t.Errorf("%+v", got)
	}
}

func TestInitFromEnvRefuses(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"JWT_SECRET='0123456789abcdef0123456789abcdef'", "JWT_SECRET=your-super-secret-jwt-key-change-this", ".env:7:1: JWT_SECRET: the secret is a sample that everybody knows"},
		{"JWT_SECRET='0123456789abcdef0123456789abcdef'", "JWT_SECRET=short", ".env:7:1: JWT_SECRET: the secret has 5 bytes"},
		{"PORT=34567", "PORT=http", ".env:2:1: PORT: "},
		{"RATE_LIMIT_WINDOW_MS=120000", "RATE_LIMIT_WINDOW_MS=15min", ".env:11:1: RATE_LIMIT_WINDOW_MS: want a duration"},
		{"ALLOWED_ORIGINS=https://one.example,https://two.example", "ALLOWED_ORIGINS=*", ".env:8:1: ALLOWED_ORIGINS: * lets the pages of everybody"},
		{"AUTH_SERVICE_URL=http://auth.internal:81", "AUTH_SERVICE_URL=auth:81", ".env:17:1: AUTH_SERVICE_URL: "},
		{"REDIS_HOST=redis.internal", "REDIS_HOST=redis#1", ".env:9:17: the value of REDIS_HOST has a # without quotes"},
	} {
		inFolder(t, map[string]string{".env": strings.Replace(environment, test.from, test.to, 1)})
		got := call(t, nil, "init", "--from-env", ".env", "-o", "yett.yaml")
		if got.code != exitFail || !strings.HasPrefix(got.stderr, test.want) || !strings.HasSuffix(got.stderr, "; nothing was written\n") {
			t.Errorf("%s: %+v", test.to, got)
		}
		if strings.Count(got.stderr, "\n") != 2 {
			t.Errorf("%s: a mistake is told more than once: %s", test.to, got.stderr)
		}
		if _, err := os.Stat("yett.yaml"); err == nil {
			t.Error("something was written")
		}
	}
	for _, args := range [][]string{{"--from-env", ".env", "--from-openapi", "x"}, {"--from-env", ".env", "-o", ".env"}, {"--from-env", ".env", "--exact"}} {
		if got := call(t, nil, append([]string{"init"}, args...)...); got.code != exitUsage {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := call(t, nil, "init", "--from-env", "none.env"); got.code != exitFail || !strings.Contains(got.stderr, "read the environment: open none.env: no such file") {
		t.Errorf("%+v", got)
	}
}
