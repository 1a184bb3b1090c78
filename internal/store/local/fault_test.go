package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

// slack is how much longer than it may a call takes on a busy machine.
const slack = 500 * time.Millisecond

func spend(key string, limit int64) []store.Take {
	return []store.Take{{Name: "limit", Key: key, Rule: store.Rule{Limit: limit, Window: time.Hour}, Cost: 1}}
}

// Stores that share a server never spend more than a limit together, and all of it.
func TestExactlyTheLimit(t *testing.T) {
	p := start(t, "", false)
	one, two := open(t, p.path), open(t, p.path)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		s := []*Store{one, two}[i%2]
		wg.Go(func() {
			for range 20 {
				takes := spend("key", 100)
				if err := s.Take(t.Context(), time.Now(), takes); err != nil {
					t.Error(err)
				}
				passed.Add(takes[0].Granted)
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("%d passed", n)
	}
}

// A server that is stopped keeps nobody longer than the budget, is noticed by who follows, and
// when it goes on all is as before.
func TestPausedServer(t *testing.T) {
	p := start(t, "", false)
	s := openWith(t, Options{Path: p.path})
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	p.Pause()
	begun := time.Now()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			begun := time.Now()
			err := s.Take(t.Context(), begun, spend("key", 100))
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > defaultTimeout+slack {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
	wg.Wait()
	for range 3 {
		begun := time.Now()
		if err := s.Ping(t.Context()); err == nil || time.Since(begun) > callTimeout+slack {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	}
	r.WaitLosses(t, 1)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("noticed after %v", took)
	}
	if text := r.Losses()[0].Error(); !strings.Contains(text, "does not answer") || !strings.Contains(text, p.path) {
		t.Error(text)
	}
	p.Resume()
	r.WaitSyncs(t, 2)
	waitUp(t, s)
	storetest.Add(t, s, "s", storetest.In(time.Hour, "after"))
	r.WaitFor(t, "after")
}

// waitUp waits until a store takes again.
func waitUp(t *testing.T, s *Store) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); s.Ping(t.Context()) != nil; {
		if time.Now().After(until) {
			t.Fatal("it does not come back")
		}
		time.Sleep(time.Millisecond) // nothing tells
	}
}

// A server that is killed fails what waits at once, and another one at its place is found by
// itself.
func TestKilledServer(t *testing.T) {
	p := start(t, "", false)
	s := openWith(t, Options{Path: p.path, Timeout: 5 * time.Second})
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	for round := range 3 {
		p.Pause()
		failed := make(chan error)
		go func() { failed <- s.Take(t.Context(), time.Now(), spend("key", 100)) }()
		waitBooked(t, s)
		p.Kill()
		select {
		case err := <-failed:
			if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrBusy) {
				t.Error(err)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("a call waits for a server that is gone")
		}
		r.WaitLosses(t, round+1)
		if err := s.Take(t.Context(), time.Now(), spend("key", 100)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		p = start(t, p.path, false)
		r.WaitSyncs(t, round+2)
		waitUp(t, s)
		takes := spend("key", 100)
		if err := s.Take(t.Context(), time.Now(), takes); err != nil || takes[0].Left != 99 {
			t.Errorf("%v, %+v", err, takes)
		}
	}
	if n := len(r.Losses()); n != 3 {
		t.Errorf("lost %d times", n)
	}
}

// waitBooked waits until a call waits for its answer.
func waitBooked(t *testing.T, s *Store) {
	t.Helper()
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) { // nothing tells
		s.mu.Lock()
		n := len(s.calls) - len(s.free)
		s.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("nothing waits")
		}
	}
}

// There is an end to how many may wait. Those beyond are told so at once, and all others are
// answered when the server goes on.
func TestTooManyWait(t *testing.T) {
	p := start(t, "", false)
	s := openWith(t, Options{Path: p.path, Timeout: 20 * time.Second})
	p.Pause()
	var busy, done, failed atomic.Int64
	var wg sync.WaitGroup
	for i := range queued + 200 {
		wg.Go(func() {
			begun := time.Now()
			switch err := s.Take(t.Context(), begun, spend(fmt.Sprint(i), 100)); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, store.ErrBusy) && time.Since(begun) < 2*time.Second:
				if busy.Add(1) == 200 {
					p.Resume()
				}
			default:
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 || busy.Load() != 200 || done.Load() != queued {
		t.Errorf("%d were too many, %d were answered", busy.Load(), done.Load())
	}
}

// Before anybody serves there Open waits a little, and a store that was opened in vain finds the
// server later.
func TestOpenBeforeItIsServed(t *testing.T) {
	path := socketPath(t)
	s, err := Open(t.Context(), Options{Path: path, Patience: 50 * time.Millisecond, Timeout: 5 * time.Second})
	if err == nil || s == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Take(t.Context(), time.Now(), spend("key", 1)); err == nil {
		t.Error("nobody is there, and it takes")
	}
	opened := make(chan error)
	go func() {
		other, err := Open(t.Context(), Options{Path: path, Patience: 10 * time.Second})
		other.Close()
		opened <- err
	}()
	start(t, path, false)
	if err := <-opened; err != nil {
		t.Error(err)
	}
	waitUp(t, s)
	for _, bad := range []string{"", "/" + strings.Repeat("long", 30)} {
		if s, err := Open(t.Context(), Options{Path: bad}); s != nil || err == nil {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := Listen(bad); err == nil {
			t.Errorf("%q is listened at", bad)
		}
	}
}

// The socket is its user's, replaces one at which nobody listens, and nothing else.
func TestListen(t *testing.T) {
	path, _, _ := serveHere(t, time.Now)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "--successor") {
		t.Error(err)
	}
	stale := socketPath(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	_ = old.Close()
	l, err := Listen(stale)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	file := socketPath(t)
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("the file is gone")
	}
}

// Who speaks otherwise is told, or left; the others don't notice.
func TestStrangers(t *testing.T) {
	path, _, _ := serveHere(t, time.Now)
	s := open(t, path)
	for said, want := range map[string]string{
		"yett\x02c\x00\x00":                                                                  "yett\x01v\x00\x00",
		"yett\x01?\x00\x00":                                                                  "yett\x01-\x00\x00",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                                  "",
		"yett\x01c\x00\x00\xff\xff\xff\xff\x01\x00\x00\x00\x00":                              "yett\x01+\x00\x00",
		"yett\x01c\x00\x00\x05\x00\x00\x00\x63\x07\x00\x00\x00":                              "yett\x01+\x00\x00" + failedFrame("the store knows no verb 99"),
		"yett\x01c\x00\x00\x06\x00\x00\x00\x01\x07\x00\x00\x00\x01":                          "yett\x01+\x00\x00" + failedFrame(errFrame.Error()),
		"yett\x01f\x00\x00\x06\x00\x00\x00\x02\x00\x00\x00\x00s\x06\x00\x00\x00\x02\x00\x00": "yett\x01+\x00\x00",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(said)); err != nil {
			t.Error(err)
		}
		_ = c.(*net.UnixConn).CloseWrite()
		got := readAll(c)
		_ = c.Close()
		if got != want {
			t.Errorf("%q is answered by %q", said, got)
		}
	}
	if err := s.Take(t.Context(), time.Now(), spend("key", 1)); err != nil {
		t.Error(err)
	}
}

func failedFrame(why string) string { return string(end(append(begin(nil, sayFailed, 7), why...), 0)) }

func readAll(c net.Conn) string {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var all []byte
	b := make([]byte, 1024)
	for {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			return string(all)
		}
	}
}

// What makes no sense is refused as memory refuses it, and nothing else fails by it.
func TestRefused(t *testing.T) {
	path, _, _ := serveHere(t, time.Now)
	s := open(t, path)
	takes := spend("key", 1)
	takes[0].Cost = 0
	if err := s.Take(t.Context(), time.Now(), takes); err == nil || !strings.Contains(err.Error(), "makes no sense") || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := s.Take(t.Context(), time.Now(), make([]store.Take, maxTakes+1)); err == nil {
		t.Error("17 takes are taken")
	}
	if err := s.Take(t.Context(), time.Now(), nil); err != nil {
		t.Error(err)
	}
	if err := s.Add(t.Context(), "s", storetest.In(time.Hour, strings.Repeat("x", maxFrame))); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Take(ctx, time.Now(), spend("key", 1)); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Nobody waits for a store that was closed.
func TestClosed(t *testing.T) {
	p := start(t, "", false)
	s, err := Open(t.Context(), Options{Path: p.path, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p.Pause()
	failed := make(chan error)
	go func() { failed <- s.Take(t.Context(), time.Now(), spend("key", 1)) }()
	waitBooked(t, s)
	s.Close()
	s.Close()
	for _, err := range []error{<-failed, s.Take(t.Context(), time.Now(), spend("key", 1)), s.Ping(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	}
}

// A client that follows and does not read is left; the others hear everything.
func TestSlowFollower(t *testing.T) {
	path, _, _ := serveHere(t, time.Now)
	c, err := dial(t.Context(), path, forFollow)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.write(end(append(begin(nil, doAdd, 0), 's'), 0), time.Second); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	long := strings.Repeat("x", 1<<20)
	for i := range 10 {
		storetest.Add(t, s, "s", storetest.In(time.Hour, fmt.Sprint(i, long)))
	}
	r.WaitFor(t, "9"+long)
	got := len(readAll(c))
	if got >= 10<<20 {
		t.Errorf("it was sent %d bytes", got)
	}
	if len(r.Losses()) > 0 {
		t.Error("another one was lost")
	}
}

func TestPeers(t *testing.T) {
	for theirs, ok := range map[uint32]bool{1000: true, 0: true, 1001: false} {
		if err := mayEnter(theirs, 1000, 7); (err == nil) != ok {
			t.Errorf("user %d: %v", theirs, err)
		}
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are not counted with the race detector")
	}
	path, _, _ := serveHere(t, time.Now)
	s := open(t, path)
	takes := append(spend("one", 1e9), spend("two", 1e9)...)
	ctx := t.Context()
	take := func() {
		if err := s.Take(ctx, time.Time{}, takes); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		take()
	}
	// Of both sides. Deadlines are shared by the calls of an eighth of the timeout.
	if got := testing.AllocsPerRun(5000, take); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
