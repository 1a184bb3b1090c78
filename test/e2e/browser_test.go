//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"yett/test/browser"
)

// callsPage calls the gateway in every way that CORS has something to say
// about, and shows what came of it.
const callsPage = `<!DOCTYPE html><title>calls</title><pre id="out"></pre><script>
const gateway = %q, token = %q;
const calls = {
  good: ["/api/v1/customers", {headers: {Authorization: "Bearer " + token}, credentials: "include"}],
  preflighted: ["/api/v1/tickets", {method: "PUT", headers: {Authorization: "Bearer " + token, "Content-Type": "application/json"}, body: "{}"}],
  anonymous: ["/api/v1/customers", {credentials: "include"}],
  forbidden: ["/api/v1/protected/system", {headers: {Authorization: "Bearer " + token}}],
  missing: ["/nowhere", {}],
  header: ["/api/v1/customers", {headers: {Authorization: "Bearer " + token, "X-Not-Allowed": "1"}}],
};
(async () => {
  const seen = {};
  for (const [name, [path, options]] of Object.entries(calls)) {
    try {
      const answer = await fetch(gateway + path, options);
      const text = await answer.text();
      let code = "";
      try { code = JSON.parse(text).error.code; } catch {}
      seen[name] = {status: answer.status, code, id: answer.headers.get("X-Request-ID") || ""};
    } catch (error) {
      seen[name] = {failed: true};
    }
  }
  document.getElementById("out").textContent = JSON.stringify(seen);
  document.title = "done";
})();
</script>`

// seen is what a page saw of one call.
type seen struct {
	Status   int
	Code, ID string
	Failed   bool
}

// browse opens a page and returns what it has seen.
func browse(t *testing.T, b *browser.Browser, url string) map[string]seen {
	t.Helper()
	page := b.Open()
	page.Goto(url)
	page.WaitFor(`document.title === "done"`)
	var text string
	page.Eval(`document.getElementById("out").textContent`, &text)
	var all map[string]seen
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v: the page shows\n%s", err, text)
	}
	return all
}

// A page of an allowed origin reads answers and refusals, one of another origin
// nothing at all: not what headers say, but what a browser makes of them.
func TestContractBrowsers(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	page := http.NewServeMux()
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	allowed := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	s := setStage(t, nil, "ALLOWED_ORIGINS="+allowed)
	page.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, callsPage, s.url, tokenOf(t, "technician"))
	})
	good := browse(t, b, allowed)
	for name, want := range map[string]seen{
		"good": {Status: 200}, "preflighted": {Status: 200}, "anonymous": {Status: 401, Code: "NO_TOKEN"},
		"forbidden": {Status: 403, Code: "INSUFFICIENT_PERMISSIONS"}, "missing": {Status: 404, Code: "NOT_FOUND"}, "header": {Failed: true},
	} {
		got := good[name]
		if got.Status != want.Status || got.Code != want.Code || got.Failed != want.Failed || !want.Failed && !uuid4.MatchString(got.ID) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for name, got := range browse(t, b, server.URL) { // 127.0.0.1 is another origin than localhost
		if !got.Failed {
			t.Errorf("another origin, %s: %+v", name, got)
		}
	}
}
