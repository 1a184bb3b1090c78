//go:build linux

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const trouble = `<!DOCTYPE html><title>page</title>
<button id="b">Press me</button><input id="i" value="old">
<script src="script.js"></script>
<script>document.title = "inline"</script>
<img src="http://elsewhere.test/a.png"><img src="missing.png">`

const script = `
document.getElementById("b").addEventListener("click", e => { document.title = "clicked " + e.isTrusted; });
document.getElementById("i").addEventListener("keydown", e => { if (e.key === "Enter") document.title = "typed " + e.target.value; });
console.error("said", 7);
fetch("post", {method: "POST", body: "content", headers: {"X-Own": "1"}});
setTimeout(() => { throw new Error("thrown"); });`

// Everything that a page does wrong is noticed, and what it asks for is known: tests that
// find nothing would prove nothing otherwise.
func TestNotices(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Security-Policy", "script-src 'self'")
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, trouble)
		case "/script.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, script)
		case "/post":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	p := Start(t).Open()
	p.Goto(srv.URL)
	p.Click("button", "Press me")
	p.WaitFor(`document.title === "clicked true"`)
	p.Fill("#i", "new")
	p.Press("Enter")
	p.WaitFor(`document.title === "typed new"`)
	if got := p.Text("#b"); got != "Press me" {
		t.Errorf("the button shows %q", got)
	}
	errors := strings.Join(p.ConsoleErrors(), "\n")
	for _, want := range []string{`console: "said"`, "exception: ", "thrown", "status of 404", "kInlineViolation", "elsewhere.test"} {
		if !strings.Contains(errors, want) {
			t.Errorf("nobody noticed %s:\n%s", want, errors)
		}
	}
	seen := make(map[string]Request)
	for _, r := range p.Requests() {
		seen[r.Method+" "+r.URL] = r
	}
	if r := seen["POST "+srv.URL+"/post"]; r.Status != 204 || r.Body != "content" || r.Header.Get("X-Own") != "1" {
		t.Errorf("the post was %+v", r)
	}
	if r := seen["GET http://elsewhere.test/a.png"]; r.Failed == "" {
		t.Errorf("the picture from elsewhere was %+v", r)
	}
	if picture, err := os.ReadFile(p.Screenshot("page")); err != nil || !strings.HasPrefix(string(picture), "\x89PNG") {
		t.Errorf("the screenshot: %v", err)
	}
	if p.Forget(); len(p.Requests()) > 0 || len(p.ConsoleErrors()) > 0 {
		t.Error("something is not forgotten")
	}
}
