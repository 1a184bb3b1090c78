//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// loadConfig lets tunnels end soon after an upgrade.
var loadConfig = strings.Replace(appConfig, "shutdown:\n", "shutdown:\n  tunnels: 1s\n", 1)

// everything is a service with all kinds of exchanges.
func everything(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := range 100 {
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
	})
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
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// traffic is a number of clients that go on until they are told to end.
type traffic struct {
	url    string
	over   atomic.Bool
	wg     sync.WaitGroup
	mu     sync.Mutex
	counts map[string]int
	failed []string
}

func (l *traffic) client(kind string, once func() error) {
	l.wg.Go(func() {
		for !l.over.Load() {
			err := once()
			l.mu.Lock()
			if l.counts[kind]++; err != nil {
				l.failed = append(l.failed, kind+": "+err.Error())
			}
			l.mu.Unlock()
		}
	})
}

// call sends a body and wants it back.
func call(client *http.Client, url string, body io.Reader, want string) error {
	resp, err := client.Post(url, "text/plain", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(got) != want {
		return fmt.Errorf("status %d, %q", resp.StatusCode, got)
	}
	return nil
}

// slowly is a body that takes its time. It can't be sent twice.
type slowly struct{ left int }

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(20 * time.Millisecond)
	s.left--
	return copy(p, "piece "), nil
}

// follow reads events until the stream ends, which has to be between two of them, none missing.
func follow(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n := 0
	for lines := bufio.NewReader(resp.Body); ; {
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
	if n == 0 {
		return errors.New("no event")
	}
	return nil
}

// talk sends messages and wants them back, until the other side goes away.
func (l *traffic) talk() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(l.url, "http")+"/socket", nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	text := bytes.Repeat([]byte("hello "), 300)
	for !l.over.Load() {
		err := conn.Write(ctx, websocket.MessageText, text)
		var got []byte
		if err == nil {
			_, got, err = conn.Read(ctx)
		}
		if websocket.CloseStatus(err) == websocket.StatusGoingAway {
			return nil
		}
		if err != nil {
			// A write that meets the end fails by itself; what ended it is to be read.
			if _, _, cause := conn.Read(ctx); websocket.CloseStatus(cause) == websocket.StatusGoingAway {
				return nil
			}
			return err
		}
		if !bytes.Equal(got, text) {
			return fmt.Errorf("%d bytes came back", len(got))
		}
		time.Sleep(5 * time.Millisecond)
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}

// 20 upgrades, and whatever is done meanwhile succeeds.
func TestUpgradesUnderLoad(t *testing.T) {
	l := startLineage(t, binary, []string{"APP=" + everything(t).URL}, "run", "-c", write(t, "yett.yaml", loadConfig)).serving()
	load := &traffic{url: l.url, counts: make(map[string]int)}
	for range 3 {
		client := newClient(t)
		load.client("kept connection", func() error { return call(client, l.url+"/echo", io.MultiReader(strings.NewReader("hi")), "hi") })
	}
	paced := newClient(t)
	load.client("kept connection with pauses", func() error {
		time.Sleep(30 * time.Millisecond)
		return call(paced, l.url+"/echo", io.MultiReader(strings.NewReader("hi")), "hi")
	})
	fresh := newClient(t)
	fresh.Transport.(*http.Transport).DisableKeepAlives = true
	load.client("new connection", func() error { return call(fresh, l.url+"/echo", strings.NewReader("hi"), "hi") })
	slow := newClient(t)
	load.client("slow upload", func() error { return call(slow, l.url+"/echo", &slowly{left: 20}, strings.Repeat("piece ", 20)) })
	events := newClient(t)
	load.client("events", func() error { return follow(events, l.url+"/events") })
	load.client("websocket", load.talk)
	load.client("websocket", load.talk)

	begun := time.Now()
	for range 20 {
		l.upgrade()
	}
	took := time.Since(begun)
	code := l.exit()
	load.over.Store(true)
	load.wg.Wait()
	for _, pid := range l.pids[1 : len(l.pids)-1] {
		l.gone(pid)
	}
	l.stop()
	t.Logf("20 upgrades in %s: %v", took, load.counts)
	if len(load.failed) > 0 {
		t.Errorf("%d failed, such as\n%s", len(load.failed), strings.Join(load.failed[:min(20, len(load.failed))], "\n"))
	}
	if code != 0 && code != 3 {
		t.Errorf("the first process has exit code %d", code)
	}
}
