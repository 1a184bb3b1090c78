//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What is not said has the defaults of always.
func TestContractDefaults(t *testing.T) {
	snap := compiled(t, nil)
	if address := snap.Listeners[0].Address; address != ":3000" {
		t.Errorf("PORT: it would listen on %s", address)
	}
	if snap.Config.Name != "psa-api-gateway" {
		t.Errorf("SERVICE_NAME: it is called %s", snap.Config.Name)
	}
	if snap.Store != nil {
		t.Errorf("REDIS_HOST: without it, the store is %+v", snap.Store)
	}
	if redis := compiled(t, map[string]string{"REDIS_HOST": "redis.internal"}).Store; redis == nil || redis.Address != "redis.internal:6379" || redis.Password != "" {
		t.Errorf("REDIS_PORT, REDIS_PASSWORD: with a host alone, the store is %+v", redis)
	}
	if log := snap.Config.Log; log.Level != "info" || log.Access.Output != "stdout" {
		t.Errorf("LOG_LEVEL, LOG_FILE: %+v", log)
	}
	for i, name := range serviceNames() {
		service, _ := snap.Config.Services.Get(name)
		want := fmt.Sprintf("http://localhost:%d", 3001+i)
		if service == nil || len(service.Targets) != 1 || fmt.Sprint(service.Targets[0]) != want {
			t.Errorf("%s: %s has the targets %v, want %s", urlVariable(name), name, service, want)
		}
	}
}

// PORT says where, SERVICE_NAME as what.
func TestContractPortAndName(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	s := setStage(t, nil, "PORT="+port, "SERVICE_NAME=front-door", "NODE_ENV=production")
	if _, got, _ := net.SplitHostPort(s.addr); got != port {
		t.Errorf("PORT=%s: it listens on %s", port, got)
	}
	if page := decode[map[string]any](t, s.ask(t, "GET", "/health", "")); page["service"] != "front-door" {
		t.Errorf("its health is that of %v", page["service"])
	}
	if got := reached(t, s.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician"))).Header.Get("X-Gateway"); got != "front-door" {
		t.Errorf("services are told that %q calls", got)
	}
	if got := s.ask(t, "GET", "/api/v1/customers", "").Header.Get("WWW-Authenticate"); got != `Bearer realm="front-door"` {
		t.Errorf("who is unknown is told %s", got)
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Values that can't be meant are refused at their place: D3, nothing checked
// them.
func TestD3VariablesAreChecked(t *testing.T) {
	t.Parallel()
	const place = `examples/psa/yett\.yaml:\d+:\d+: `
	for _, tt := range []struct{ name, env, want string }{
		{"no port", "PORT=http", place + `listeners\[0\]\.address: `},
		{"a port out of range", "PORT=70000", place + `listeners\[0\]\.address: `},
		{"no level", "LOG_LEVEL=loud", place + `log\.level: `},
		{"no URL", "CRM_SERVICE_URL=crm", place + `services\.crm\.targets\[0\]: `},
		{"no origin", "ALLOWED_ORIGINS=app.example.org", place + `policies\.cors\.origins\[0\]: `},
		{"everybody's origin, with credentials", "ALLOWED_ORIGINS=*", place + `policies\.cors\.origins`},
		{"no port of the store", "REDIS_PORT=redis", place + `store\.redis\.port: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := yett(t, []string{"PORT=0", "JWT_SECRET=" + exampleSecret, tt.env}, "run", "-c", exampleConfig)
			if code != 1 || !regexp.MustCompile(tt.want).MatchString(stderr) || !strings.HasSuffix(stderr, "1 problem; nothing was started") {
				t.Errorf("exit code %d, %s", code, stderr)
			}
		})
	}
}

// D3: without a secret that is one, nothing starts. What was wrong with it is
// said, and what it was is not.
func TestD3SecretIsChecked(t *testing.T) {
	t.Parallel()
	place := regexp.MustCompile(`examples/psa/yett\.yaml:\d+:\d+: issuers\.platform\.keys\[0\]\.secret: `)
	for _, tt := range []struct{ name, secret, want string }{
		{"missing", "", "the secret that the auth service signs tokens with"},
		{"short", "0f1e2d3c4b5a69788796a5b4c3d2e1f", "31 bytes"},
		{"a sample", "your-super-secret-jwt-key-change-this-in-production", "a sample"},
		{"the other sample", "change-me-to-32-bytes-or-more-please", "a sample"},
		{"nothing but one letter", strings.Repeat("x", 64), "a sample"},
		{"a public key", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----", "PEM"},
	} {
		for _, verb := range []string{"run", "check"} {
			t.Run(tt.name+" "+verb, func(t *testing.T) {
				env := []string{"PORT=0"}
				if tt.secret != "" {
					env = append(env, "JWT_SECRET="+tt.secret)
				}
				code, stdout, stderr := yett(t, env, verb, "-c", exampleConfig)
				if code != 1 || !place.MatchString(stderr) || !strings.Contains(stderr, tt.want) {
					t.Errorf("exit code %d, %s", code, stderr)
				}
				if tt.secret != "" && strings.Contains(stdout+stderr, tt.secret[:20]) {
					t.Error("the secret is shown")
				}
			})
		}
	}
}

// A good secret stays one: neither answers nor logs have it.
func TestContractSecretIsNotShown(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil, "LOG_LEVEL=debug")
	token := tokenOf(t, "system_admin")
	var shown strings.Builder
	for _, path := range []string{"/", "/health/detailed", "/api/v1/protected/profile", "/api/v1/customers", "/internal/revocations", "/nowhere"} {
		a := s.ask(t, "GET", path, token)
		fmt.Fprint(&shown, a.Header)
		if path != "/api/v1/customers" { // where the stub shows the token that it got
			shown.WriteString(a.body)
		}
		s.ask(t, "GET", path, token[:len(token)-4]+"AAAA")
	}
	s.signal(sigterm)
	s.exit()
	for what, text := range map[string]string{"the secret": exampleSecret, "a token": token[:len(token)-4]} {
		if strings.Contains(shown.String()+s.stdout.String()+s.stderr.String(), text) {
			t.Errorf("%s is shown", what)
		}
	}
}

// Each service is where its variable says.
func TestContractServiceURLs(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token := tokenOf(t, "technician")
	for path, service := range map[string]string{
		"/api/v1/auth/me": "auth", "/api/v1/users": "auth", "/api/v1/customers": "crm", "/api/v1/tickets": "tickets", "/api/v1/billing": "billing",
		"/api/v1/projects": "projects", "/api/v1/assets": "assets", "/api/v1/reports": "reports",
	} {
		if got := reached(t, s.ask(t, "GET", path, token)); got.Service != service {
			t.Errorf("%s is answered by %s, want %s", path, got.Service, service)
		}
	}
}

// ALLOWED_ORIGINS is a list with commas, and blanks where people put them.
func TestContractAllowedOrigins(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil, "ALLOWED_ORIGINS= https://app.example.org,https://admin.example.org , http://localhost:5173")
	for origin, want := range map[string]bool{
		"https://app.example.org": true, "https://admin.example.org": true, "http://localhost:5173": true,
		"https://example.org": false, "http://app.example.org": false, "https://app.example.org.evil.example": false, "http://localhost:5174": false, "null": false,
	} {
		got := s.ask(t, "GET", "/health", "", "Origin", origin).want(t, 200).Header.Values("Access-Control-Allow-Origin")
		if allowed := slices.Equal(got, []string{origin}); allowed != want || !allowed && got != nil {
			t.Errorf("%s: Access-Control-Allow-Origin is %q", origin, got)
		}
	}
}

// LOG_LEVEL is the gateway's own log: what is below is not there.
func TestContractLogLevel(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]bool{"debug": true, "info": true, "warn": false, "error": false} {
		p := start(t, []string{"PORT=0", "JWT_SECRET=" + exampleSecret, "LOG_LEVEL=" + level}, "run", "-c", exampleConfig)
		if want {
			p.stderr.wait(t, "listening", func(line string) bool { return strings.Contains(line, `"msg":"listening"`) })
		}
		p.signal(sigterm) // before it serves, this ends it as well
		p.exit()
		if got := strings.Contains(p.stderr.String(), `"level":"info"`); got != want {
			t.Errorf("LOG_LEVEL=%s: %s", level, p.stderr)
		}
	}
}

// LOG_FILE is where the access log goes, and requests that failed stand in a
// second file too.
func TestContractLogFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := setStage(t, nil, "LOG_FILE="+filepath.Join(dir, "gateway.log"), "BILLING_SERVICE_URL="+nobody)
	token := tokenOf(t, "technician")
	s.ask(t, "GET", "/api/v1/customers", token).want(t, 200)
	s.ask(t, "GET", "/api/v1/customers", "").want(t, 401)
	s.ask(t, "GET", "/api/v1/billing", token).want(t, 502)
	s.signal(sigterm)
	s.exit()
	if s.stdout.String() != "" {
		t.Errorf("stdout has %s", s.stdout)
	}
	for name, want := range map[string][]string{
		"gateway.log":       {"/api/v1/customers", "/api/v1/customers", "/api/v1/billing"},
		"gateway-error.log": {"/api/v1/billing"},
	} {
		if got := loggedPaths(t, filepath.Join(dir, name)); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

// D2: a .env beside the configuration counts for everything, and real
// variables win. The old gateway read it when all values were taken already.
func TestD2DotenvCounts(t *testing.T) {
	t.Parallel()
	wrong := newStub(t, "wrong", nil)
	s := &stage{client: newClient(t), stubs: make(map[string]*stub)}
	dir := t.TempDir()
	dotenv := []string{
		"PORT=0", "JWT_SECRET=" + exampleSecret, "SERVICE_NAME=from-the-file", "ALLOWED_ORIGINS=https://file.example",
		"LOG_LEVEL=warn", "LOG_FILE=" + filepath.Join(dir, "file.log"), "CRM_SERVICE_URL=" + wrong.URL,
	}
	for _, name := range serviceNames() {
		s.stubs[name] = newStub(t, name, nil)
		if name != "crm" {
			dotenv = append(dotenv, urlVariable(name)+"="+s.stubs[name].URL)
		}
	}
	file := exampleWithDotenv(t, strings.Join(dotenv, "\n"))
	s.gateway = run(t, file, "CRM_SERVICE_URL="+s.stubs["crm"].URL, "LOG_LEVEL=info")
	token := tokenOf(t, "technician")
	for path, service := range map[string]string{"/api/v1/tickets": "tickets", "/api/v1/reports": "reports", "/api/v1/customers": "crm"} {
		if got := reached(t, s.ask(t, "GET", path, token)); got.Service != service || got.Header.Get("X-Gateway") != "from-the-file" {
			t.Errorf("%s is answered by %s, and %s asked", path, got.Service, got.Header.Get("X-Gateway"))
		}
	}
	if got := s.ask(t, "GET", "/", "", "Origin", "https://file.example").Header.Get("Access-Control-Allow-Origin"); got != "https://file.example" {
		t.Errorf("the origin of the file is answered with %q", got)
	}
	s.signal(sigterm)
	s.exit()
	if got := loggedPaths(t, filepath.Join(dir, "file.log")); len(got) != 4 {
		t.Errorf("the log file has %q", got)
	}
	if wrong.requests.Load() != 0 {
		t.Error("the file has won over a real variable")
	}
}

// The documented variables are the real ones, and the other way round.
func TestContractDocumentedVariables(t *testing.T) {
	read := func(file, pattern string) []string {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(exampleConfig), file))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(data), -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	used := slices.DeleteFunc(read("yett.yaml", `\$\{([A-Z_]+)`), func(name string) bool { return name == "NAME" }) // the comment's
	if documented := read(".env.example", `(?m)^(?:# )?([A-Z_]+)=`); !slices.Equal(documented, used) {
		t.Errorf(".env.example has %q, the configuration %q", documented, used)
	}
	table := read("README.md", "(?m)^\\| ([A-Z_]+) \\|")
	for _, name := range used {
		if !slices.Contains(table, name) {
			t.Errorf("README.md does not say what %s is", name)
		}
	}
}

// NODE_ENV is accepted, whatever it says.
func TestContractNodeEnv(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"production", "development", ""} {
		code, stdout, stderr := yett(t, []string{"JWT_SECRET=" + exampleSecret, "NODE_ENV=" + value}, "check", "-c", exampleConfig)
		if code != 0 || !strings.Contains(stdout, ": ok, ") {
			t.Errorf("NODE_ENV=%s: exit code %d, %s", value, code, stderr)
		}
	}
}
