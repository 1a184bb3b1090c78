package access

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"yett/internal/app"
	"yett/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write puts files into a folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const conf = `
listeners: [{name: public, address: ":3000"}]
services: {app: {targets: ["http://${TARGET}"]}}
routes:
  - {name: app, path: /app/**, auth: none, service: app}
  - {name: page, path: /page, methods: [GET], auth: none, endpoint: health}
  - {name: hi, path: /hi, auth: none, policies: {respond: {status: 202, text: hi}}}
`

// Every mistake in a table is told at once, each with its place.
func TestBadTables(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for _, f := range archive.Files {
		want[f.Name] = string(f.Data)
	}
	for name, text := range want {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"yett.yaml": conf, name: text})
			table, err := Load(filepath.Join(dir, name), nil)
			if err == nil {
				_, err = table.Run(app.Options{File: filepath.Join(dir, "yett.yaml"), Stderr: t.Output()})
			}
			if err == nil {
				t.Fatal("it runs")
			}
			got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
			if got = strings.TrimSpace(got); got != strings.TrimSpace(want[name+"/want"]) {
				t.Errorf("got\n%s\nwant\n%s", got, want[name+"/want"])
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load("no/access.yaml", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What the test says wins over what the file says; a name over a group over
// others.
func TestPairs(t *testing.T) {
	dir := write(t, map[string]string{"access.yaml": `
callers: {a: {}, b: {}, c: {}, d: {}}
groups: {ab: [a, b], bc: [b, c]}
expect: {anonymous: 401, d: 404, others: 403}
tests:
  - {request: GET /1}
  - {request: GET /2, expect: {ab: pass}}
  - {request: GET /3, expect: {others: pass}}
  - {request: GET /4, expect: {ab: pass, bc: 400, b: 405, anonymous: pass}}
`})
	table, err := Load(filepath.Join(dir, "access.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"anonymous 401, a 403, b 403, c 403, d 404",
		"anonymous 401, a pass, b pass, c 403, d 404",
		"anonymous pass, a pass, b pass, c pass, d pass",
		"anonymous pass, a pass, b 405, c 400, d 404",
	} {
		var got []string
		for _, p := range table.pairs(i) {
			got = append(got, p.caller+" "+p.expect.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("test %d: %s, want %s", i, strings.Join(got, ", "), want)
		}
	}
}

func TestConfigFile(t *testing.T) {
	for _, tt := range [][2]string{{"", ""}, {"../yett.yaml", "yett.yaml"}, {"/etc/yett.yaml", "/etc/yett.yaml"}} {
		f := &File{Config: tt[0], path: "tests/access.yaml"}
		if got := f.ConfigFile(); got != tt[1] {
			t.Errorf("%s of tests/access.yaml is %s, want %s", tt[0], got, tt[1])
		}
	}
	env := (&File{Env: map[string]string{"A": "table"}}).Environment(config.MapEnv(map[string]string{"A": "process", "B": "process"}))
	a, _ := env("A")
	b, _ := env("B")
	if a != "table" || b != "process" {
		t.Errorf("A is the %s's, B the %s's", a, b)
	}
}
