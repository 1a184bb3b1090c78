package app

import (
	"strings"
	"testing"
)

// Mistakes of reading and of compiling come in one answer, but not those that
// only follow from others.
func TestAllProblemsAtOnce(t *testing.T) {
	const text = `listeners: [{address: "nonsense"}]
services:
  app: {targets: ["ftp://a"]}
  slow: {targets: ["http://a"], timeouts: {connect: 5}}
routes:
  - {name: a, path: /a, servce: app}
  - {name: b, path: /b, auth: none, service: ap}
  - {name: b, path: /c, auth: none, service: slow}
`
	want := []string{
		`yett.yaml:1:23: listeners[0].address: "nonsense" is not an address`,
		`yett.yaml:3:19: services.app.targets[0]: target "ftp://a"`,
		`yett.yaml:4:53: services.slow.timeouts.connect: want a duration`,
		`yett.yaml:6:5: routes[0]: missing key "auth"`,
		`yett.yaml:6:25: routes[0]: unknown key "servce"`,
		`yett.yaml:7:46: routes[1].service: there is no service "ap"`,
		`yett.yaml:8:12: routes[2].name: the name "b" is taken`,
	}
	_, err := Check(Options{File: "yett.yaml", Source: []byte(text)})
	if err == nil {
		t.Fatal("it loads")
	}
	got := strings.Split(err.Error(), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
