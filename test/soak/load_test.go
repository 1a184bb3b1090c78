//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// service is what the gateway asks.
type service struct{ *httptest.Server }

func startService(t *testing.T) *service {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err == nil {
			_, _ = io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
		}
	})
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		for {
			kind, data, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	})
	s := &service{httptest.NewServer(mux)}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// manyEvents is how many a stream has: it takes five seconds.
const manyEvents = 100

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for i := range manyEvents {
		fmt.Fprintf(w, "data: %d\n\n", i)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// failure is a request that failed.
type failure struct {
	at   time.Time
	kind string
	why  string
}

// load is a number of clients that go on until they are told to end.
type load struct {
	t    *testing.T
	url  string
	over atomic.Bool
	// replaced tells that processes are replaced, which end streams after their time.
	replaced atomic.Bool
	again    atomic.Int64 // requests that their client has sent again
	wg       sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int
	away   int // tunnels that were told to go away
	ended  int // streams that were ended between two events
	failed []failure
}

// startLoad starts a bit of everything. Each client pauses between its requests, because what is
// tested is not how fast the machine is.
func (g *gateway) startLoad() *load {
	l := &load{t: g.t, url: g.url, counts: make(map[string]int)}
	g.t.Cleanup(l.end)
	for range 6 {
		l.client("kept connection", 3*time.Millisecond, l.echo(newClient(g.t, false)))
	}
	for range 2 {
		l.client("new connection", 5*time.Millisecond, l.echo(newClient(g.t, false, oneRequest)))
	}
	for range 2 {
		l.client("upload", 0, l.upload(newClient(g.t, false)))
	}
	for range 2 {
		l.client("events", 0, l.follow(newClient(g.t, false)))
	}
	for range 2 {
		l.client("websocket", 0, l.talk)
	}
	for range 2 {
		l.client("h2c", 5*time.Millisecond, l.echo(newClient(g.t, true)))
	}
	return l
}

func oneRequest(t *http.Transport) { t.DisableKeepAlives = true }

func newClient(t *testing.T, h2 bool, change ...func(*http.Transport)) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 1}
	if h2 {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	for _, c := range change {
		c(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func (l *load) client(kind string, pause time.Duration, once func(url string) error) {
	l.wg.Go(func() {
		for !l.over.Load() {
			err := once(l.url)
			l.mu.Lock()
			if l.counts[kind]++; err != nil {
				l.failed = append(l.failed, failure{time.Now(), kind, err.Error()})
			}
			l.mu.Unlock()
			if err != nil {
				time.Sleep(20 * time.Millisecond) // nothing is learned from a thousand of the same
			}
			time.Sleep(pause)
		}
	})
}

// end has all clients finish what they do.
func (l *load) end() {
	l.over.Store(true)
	l.wg.Wait()
}

// failures are those so far.
func (l *load) failures() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.failed)
}

// done ends it, and nothing may have failed.
func (l *load) done() {
	l.t.Helper()
	l.end()
	l.t.Logf("%s; %d tunnels told to go away, %d streams ended by their time, %d requests sent again by their client", l.served(), l.away, l.ended, l.again.Load())
	l.none("all in all")
}

func (l *load) served() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text []string
	for _, kind := range slices.Sorted(maps.Keys(l.counts)) {
		text = append(text, fmt.Sprintf("%d %s", l.counts[kind], kind))
	}
	return strings.Join(text, ", ")
}

// none fails the test when something has failed so far.
func (l *load) none(when string) {
	l.t.Helper()
	all := l.failures()
	if len(all) == 0 {
		return
	}
	var text []string
	for _, f := range all[:min(len(all), 15)] {
		text = append(text, f.at.Format("15:04:05.000 ")+f.kind+": "+f.why)
	}
	l.t.Errorf("%s: %d failed, such as\n%s", when, len(all), strings.Join(text, "\n"))
	l.mu.Lock()
	l.failed = nil
	l.mu.Unlock()
}

// echo sends a body and wants it back.
func (l *load) echo(client *http.Client) func(string) error {
	return func(url string) error {
		return l.call(client, url+"/echo", strings.NewReader("hi"), "hi")
	}
}

// call says that it may be sent again: that is what a client has to do whose request meets the end
// of an idle connection (RFC 9112, 9.3.1), or a GOAWAY. How often it was is counted.
func (l *load) call(client *http.Client, url string, body io.Reader, want string) error {
	tries := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { tries++ }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", "1")
	resp, err := client.Do(req)
	l.again.Add(int64(max(0, tries-1)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(got) != want {
		return fmt.Errorf("status %d, %.300q", resp.StatusCode, got)
	}
	return nil
}

// upload sends a body slowly, which can't be sent twice, and compares its sum.
func (l *load) upload(client *http.Client) func(string) error {
	return func(url string) error {
		body := make([]byte, 64<<10)
		_, _ = rand.Read(body)
		sum := sha256.Sum256(body)
		return l.call(client, url+"/sum", &slowly{left: body}, hex.EncodeToString(sum[:]))
	}
}

type slowly struct{ left []byte }

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	time.Sleep(20 * time.Millisecond)
	n := copy(p, s.left[:min(len(s.left), 2<<10)])
	s.left = s.left[n:]
	return n, nil
}

// follow reads a stream of events to its end, none missing. When the load is over, it leaves.
func (l *load) follow(client *http.Client) func(string) error {
	return func(url string) error {
		resp, err := client.Get(url + "/events")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n := 0
		for lines := bufio.NewReader(resp.Body); !l.over.Load(); {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("after %d events: %w", n, err)
			}
			if line == "\n" {
				continue
			}
			if line != fmt.Sprintf("data: %d\n", n) {
				return fmt.Errorf("event %d is %q", n, line)
			}
			n++
		}
		if n == manyEvents || l.over.Load() {
			return nil
		}
		if n == 0 || !l.replaced.Load() {
			return fmt.Errorf("only %d events", n)
		}
		l.mu.Lock()
		l.ended++
		l.mu.Unlock()
		return nil
	}
}

// talk sends messages and wants them back, until the other side goes away.
func (l *load) talk(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/socket", nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	text := bytes.Repeat([]byte("hello "), 300)
	for !l.over.Load() {
		got, err := message(ctx, conn, text)
		if websocket.CloseStatus(err) == websocket.StatusGoingAway {
			l.mu.Lock()
			l.away++
			l.mu.Unlock()
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(got, text) {
			return fmt.Errorf("%d bytes came back", len(got))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		return err
	}
	return nil // both have ended it at once
}

func message(ctx context.Context, conn *websocket.Conn, text []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no answer"))
	defer cancel()
	err := conn.Write(ctx, websocket.MessageText, text)
	if err != nil {
		// A write that meets the end fails by itself; what ended it is to be read.
		if _, _, cause := conn.Read(ctx); websocket.CloseStatus(cause) != -1 {
			err = cause
		}
		return nil, err
	}
	_, got, err := conn.Read(ctx)
	return got, err
}

func (l *load) toldAway() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}
