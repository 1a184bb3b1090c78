package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"yett/internal/config"
)

// Answers are never refused and never changed; what is wrong with them is in the log, and
// counted.
func TestValidatedAnswers(t *testing.T) {
	came := make(chan struct{}) // the beginning of an answer
	bodies := map[string]func(w http.ResponseWriter){
		"good":             func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"ok":1}`) },
		"wrong body":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"no":1}`) },
		"not JSON":         func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"`) },
		"nothing":          func(w http.ResponseWriter) { w.WriteHeader(200) },
		"undocumented":     func(w http.ResponseWriter) { w.WriteHeader(418) },
		"no content":       func(w http.ResponseWriter) { w.WriteHeader(204) },
		"not modified":     func(w http.ResponseWriter) { w.WriteHeader(304) },
		"a missing header": func(w http.ResponseWriter) { w.Header().Del("X-Total"); _, _ = io.WriteString(w, `{"ok":1}`) },
		"a wrong header":   func(w http.ResponseWriter) { w.Header().Set("X-Total", "many"); _, _ = io.WriteString(w, `{"ok":1}`) },
		"a wrong type": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<p>`)
		},
		"chunked": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"no"`)
			_ = http.NewResponseController(w).Flush()
			<-came
			_, _ = io.WriteString(w, `:1}`)
		},
		"compressed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, zipped(`{"no":1}`))
		},
		"large": func(w http.ResponseWriter) {
			text := `{"no":"` + strings.Repeat("x", 3000) + `"}`
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			_, _ = io.WriteString(w, text)
		},
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"ok":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	c := startChecked(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", asJSON)
		w.Header().Set("X-Total", "1")
		bodies[r.Header.Get("X-Case")](w)
	})
	for _, tt := range []struct {
		name, method, want string
		unchecked          int64
	}{
		{"good", "GET", "", 0},
		{"good", "HEAD", "", 0},
		{"wrong body", "GET", "body /ok", 0},
		{"wrong body", "HEAD", "", 0},
		{"not JSON", "GET", "body : is not JSON", 0},
		{"nothing", "GET", "body : is missing", 0},
		{"undocumented", "GET", "status : 418", 0},
		{"no content", "GET", "", 0},
		{"not modified", "GET", "", 0},
		{"a missing header", "GET", "header /X-Total: is missing", 0},
		{"a missing header", "HEAD", "header /X-Total: is missing", 0},
		{"a wrong header", "GET", "header /X-Total", 0},
		{"a wrong type", "GET", "header /Content-Type", 0},
		{"chunked", "GET", "", 1},
		{"compressed", "GET", "", 1},
		{"large", "GET", "", 1},
		{"cut off", "GET", "", 1},
	} {
		for way, cl := range map[string]*http.Client{"http1": client(t, false), "h2c": client(t, true)} {
			for prefix, route := range map[string]string{"/e": "enforce", "/o": "observe"} {
				tally := c.tally("GET", "/answers")
				bad, unchecked := tally.BadAnswers.Load(), tally.UncheckedAnswers.Load()
				mark := strings.ReplaceAll(tt.name+tt.method+way+route, " ", "-")
				req, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://"+c.addr+prefix+"/answers?"+mark, nil)
				req.Header.Set("X-Case", tt.name)
				resp, err := cl.Do(req)
				if err != nil {
					t.Fatalf("%s: %v", mark, err)
				}
				if tt.name == "chunked" {
					came <- struct{}{}
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if cut := tt.name == "cut off"; cut != (err != nil) || cut && string(body) != `{"ok":` || resp.StatusCode >= 500 {
					t.Errorf("%s: %d %q, %v", mark, resp.StatusCode, body, err)
				}
				line := c.log.of(t, `"`+mark+`"`)
				if tt.want == "" && strings.Contains(line, `"observed"`) || !strings.Contains(line, tt.want) || tt.want != "" && !strings.Contains(line, `"observed":"answer_invalid: `+tt.want) {
					t.Errorf("%s, want %q: %s", mark, tt.want, line)
				}
				if n := tally.BadAnswers.Load() - bad; (n == 1) != (tt.want != "") {
					t.Errorf("%s: %d bad answers", mark, n)
				}
				if n := tally.UncheckedAnswers.Load() - unchecked; n != tt.unchecked {
					t.Errorf("%s: %d unchecked answers", mark, n)
				}
			}
		}
	}
}

// Events come at once, and a connection that switches protocols is nobody's answer.
func TestValidatedStreams(t *testing.T) {
	next := make(chan struct{})
	c := startChecked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
				_, _ = io.WriteString(w, event)
				_ = http.NewResponseController(w).Flush()
				<-next
			}
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		kind, text, _ := conn.Read(r.Context())
		_ = conn.Write(r.Context(), kind, text)
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	for way, cl := range map[string]*http.Client{"http1": client(t, false), "h2c": client(t, true)} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+c.addr+"/e/events?"+way, nil)
		resp, err := cl.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(resp.Body)
		for _, want := range []string{"data: 1\n", "data: 2\n"} {
			if line, err := r.ReadString('\n'); line != want || err != nil {
				t.Errorf("%s: %q, %v", way, line, err)
			}
			next <- struct{}{} // the next one is sent when this one has come
			_, _ = r.ReadString('\n')
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if line := c.log.of(t, `"/e/events"`, way); strings.Contains(line, "observed") {
			t.Error(line)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for path, want := range map[string]int{"/e/tickets/7?ws": 101, "/e/tickets/x?ws": 400} {
		conn, resp, err := websocket.Dial(ctx, "ws://"+c.addr+path, nil)
		if resp == nil || resp.StatusCode != want {
			t.Fatalf("%s: %v, %v", path, resp, err)
		}
		if err != nil {
			continue
		}
		_ = conn.Write(ctx, websocket.MessageText, []byte("hello"))
		if _, text, err := conn.Read(ctx); string(text) != "hello" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		_, _, _ = conn.Read(ctx)
	}
	if line := c.log.of(t, `"/e/tickets/7"`, `"ws"`); strings.Contains(line, "observed") {
		t.Error(line)
	}
}

// The document may be replaced at any time: requests keep theirs, and counts go on. As long as
// there is none, all requests pass.
func TestValidatedWhileDocumentsChange(t *testing.T) {
	c := startChecked(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	set := c.app.gateway.Snapshot().Documents()
	src := set.Of("app")
	file := src.State().From
	first := src.Loaded()
	var wg sync.WaitGroup
	const each, clients = 100, 4
	for range clients {
		cl := client(t, false)
		wg.Go(func() {
			for i := range each {
				resp, body := c.do(cl, "POST", "/e/tickets", `{"title":"x"}`, i%2 == 0, "Content-Type", asJSON)
				if resp.StatusCode != 200 {
					t.Errorf("%d %s", resp.StatusCode, body)
				}
			}
		})
	}
	changed := 0
	for last := first; changed < 4; changed++ {
		if err := os.WriteFile(file, fmt.Appendf(nil, "%s# %d\n", validated, changed), 0o600); err != nil {
			t.Fatal(err)
		}
		src.Start() // looks now
		for late := time.Now().Add(20 * time.Second); src.Loaded() == last; time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				t.Fatal("the document stays")
			}
		}
		last = src.Loaded()
	}
	wg.Wait()
	if n := c.tally("POST", "/tickets").Calls.Load(); n != each*clients || src.Loaded() == first {
		t.Errorf("%d calls, want %d", n, each*clients)
	}
}

func TestValidatedWithoutDocument(t *testing.T) {
	c := startChecked(t, nil)
	conf := fmt.Sprintf(validating, "http://127.0.0.1:1", filepath.Join(t.TempDir(), "none.yaml"))
	a, err := New(Options{File: "yett.yaml", Source: []byte(conf), Env: config.MapEnv(nil), Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Stop(context.Background()) }()
	c.addr = a.Addr(0).String()
	if resp, body := c.do(client(t, false), "GET", "/r/nowhere", "", false); resp.StatusCode != 502 {
		t.Errorf("it does not pass to the service, which is not there: %d %s", resp.StatusCode, body)
	}
}

// The policy needs a document where a route has it, and is nothing where there is none
// otherwise.
func TestValidateNeedsDocuments(t *testing.T) {
	const top = `
listeners: [{address: "127.0.0.1:0"}]
services: {with: {targets: ["http://127.0.0.1:1"], openapi: {path: /openapi.json}}, without: {targets: ["http://127.0.0.1:1"]}}
%s
routes:
  - {name: w, path: /with, auth: none, service: with}
  - {name: wo, path: /without, auth: none, service: without}
  - name: r
    path: /**
    auth: none
    %s
`
	for _, tt := range []struct{ global, route, want string }{
		{"", "{service: with, policies: {validate: {}}}", ""},
		{"", "{service: without, policies: {validate: {}}}", `yett.yaml:12:16: routes[2].policies.validate: validate goes by the document of the service, and "without" has none, add openapi with path, url or file to the service`},
		{"", "{endpoint: health, policies: {validate: {}}}", "goes by the document of the route's service, and there is no service"},
		{"", "{policies: {validate: {}, respond: {text: x}}}", "there is no service"},
		{"", "{service: nobody, policies: {validate: {}}}", `there is no service "nobody"`},
		{"", "{service: with, policies: {mock: {}}}", ""},
		{"", "{service: without, policies: {mock: {}}}", `routes[2].policies.mock: mock goes by the document of the service, and "without" has none, add openapi`},
		{"", "{endpoint: health, policies: {mock: {}}}", "mock goes by the document of the route's service, and there is no service"},
		{"", "{service: without, policies: {validate: off}}", ""},
		{"policies: {validate: {}}", "{service: without}", ""},
		{"policies: {validate: {}}", "{service: with, policies: {validate: off}}", ""},
		{"policies: {validate: {}}", "{endpoint: health}", ""},
		{"policies: {validate: {mode: maybe}}", "{service: with}", "maybe"},
		{"policies: {validate: {body: 17MB}}", "{service: with}", "16MB"},
	} {
		own := strings.TrimSuffix(strings.TrimPrefix(tt.route, "{"), "}")
		own = strings.Replace(own, ", policies", "\n    policies", 1)
		_, err := Check(Options{File: "yett.yaml", Source: fmt.Appendf(nil, top, tt.global, own), Env: config.MapEnv(nil)})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v", tt.global, tt.route, err)
		}
	}
}
