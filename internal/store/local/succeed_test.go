package local

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store/memory"
	"yett/internal/store/storetest"
)

// One server after the other takes over while many ask: nobody fails, nobody who follows hears of
// a loss, no token is spent twice, and nothing that was added or forgotten is lost.
func TestSuccession(t *testing.T) {
	p := start(t, "", false)
	one, two := open(t, p.path), open(t, p.path)
	r, _ := storetest.Follow(t, one, "s")
	r.WaitSyncs(t, 1)
	var asked, passed, added atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		s := []*Store{one, two}[i%2]
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				takes := spend("scarce", 100)
				if err := s.Take(t.Context(), time.Now(), takes); err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
				passed.Add(takes[0].Granted)
				if n%50 == 0 {
					storetest.Add(t, s, "s", storetest.In(time.Hour, fmt.Sprint(i, n)))
					added.Add(1)
				}
			}
		})
	}
	for range 5 {
		next := start(t, p.path, true)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the one before ends with %v", err)
		}
		p = next
		before := asked.Load()
		for asked.Load() < before+200 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("%d passed a limit of 100", n)
	}
	again, _ := storetest.Follow(t, two, "s")
	again.WaitSyncs(t, 1)
	if n := len(again.Members()); n != int(added.Load()) || len(r.Losses()) > 0 {
		t.Errorf("the set has %d members of %d, lost %v", n, added.Load(), r.Losses())
	}
	t.Logf("%d calls", asked.Load())
}

// To the token: all that is spent is counted by the last of several servers.
func TestSuccessionCountsAll(t *testing.T) {
	p := start(t, "", false)
	s := open(t, p.path)
	var spent atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	const limit = 1_000_000_000
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				takes := spend("key", limit)
				if err := s.Take(t.Context(), time.Now(), takes); err != nil {
					t.Error(err)
					return
				}
				spent.Add(takes[0].Granted)
			}
		})
	}
	for range 4 {
		next := start(t, p.path, true)
		_ = p.cmd.Wait()
		p = next
	}
	close(stop)
	wg.Wait()
	takes := spend("key", limit)
	if err := s.Take(t.Context(), time.Now(), takes); err != nil {
		t.Fatal(err)
	}
	if got := limit - takes[0].Left - 1; got != spent.Load() {
		t.Errorf("%d are counted of %d", got, spent.Load())
	}
}

// What is forgotten while a successor loads stays forgotten, and what is spent after that counts.
func TestForgottenMeanwhile(t *testing.T) {
	path, old, _ := serveHere(t, time.Now)
	s := open(t, path)
	take := func(key string) int64 {
		takes := spend(key, 100)
		if err := s.Take(t.Context(), time.Now(), takes); err != nil {
			t.Fatal(err)
		}
		return takes[0].Left
	}
	for range 10 {
		take("gone")
		take("again")
		take("stays")
	}
	c, m := halfway(t, path)
	for _, key := range []string{"gone", "again"} {
		if err := s.Forget(t.Context(), "limit", key); err != nil {
			t.Fatal(err)
		}
	}
	take("again")
	storetest.Add(t, s, "s", storetest.In(time.Hour, "late"))
	if err := old.Dump(io.Discard); err != nil { // as if that were dumped after it had begun anew
		t.Fatal(err)
	}
	l := otherHalf(t, c, m)
	next := Serve(l, m, quiet())
	defer next.Close()
	for key, want := range map[string]int64{"gone": 99, "again": 98, "stays": 89} {
		if left := take(key); left != want {
			t.Errorf("%s: %d are left, want %d", key, left, want)
		}
	}
	r, stop := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	if len(r.Members()) != 1 {
		t.Error("what was added meanwhile is lost")
	}
	stop()
	s.Close()
}

// halfway is a successor that has loaded what there was.
func halfway(t *testing.T, path string) (*conn, *memory.Store) {
	t.Helper()
	c, err := dial(t.Context(), path, forSuccessor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	m := memory.New(memory.Options{})
	t.Cleanup(m.Close)
	if err := m.Load(bufio.NewReader(c)); err != nil {
		t.Fatal(err)
	}
	return c, m
}

// otherHalf lets it take over.
func otherHalf(t *testing.T, c *conn, m *memory.Store) *net.UnixListener {
	t.Helper()
	if err := c.write([]byte{haveAll}, time.Second); err != nil {
		t.Fatal(err)
	}
	l, err := takeListener(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := takeChanges(t.Context(), c, m); err != nil {
		t.Fatal(err)
	}
	return l
}

// A successor that ends, hangs or says nonsense, wherever it is, leaves the old one serving. Who
// asks waits a second at most.
func TestSuccessorFails(t *testing.T) {
	path, _, server := serveHere(t, time.Now)
	s := open(t, path)
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	for round, fail := range []func(c *conn){
		func(*conn) {},
		func(c *conn) { _ = c.write([]byte{haveChanges}, time.Second) }, // too soon
		func(c *conn) { // with everything but the changes
			_ = c.write([]byte{haveAll}, time.Second)
			if l, err := takeListener(c); err == nil {
				_ = l.Close()
			}
		},
		func(c *conn) { // which never says that it has everything
			_ = c.write([]byte{haveAll}, time.Second)
			l, err := takeListener(c)
			if err != nil {
				t.Error(err)
				return
			}
			_ = readAll(c)
			_ = l.Close()
		},
	} {
		c, _ := halfway(t, path)
		if _, err := Succeed(t.Context(), path, memory.New(memory.Options{})); err == nil {
			t.Error("two take over at once")
		}
		fail(c)
		_ = c.Close()
		takes := spend("key", 100)
		if err := s.Take(t.Context(), time.Now(), takes); err != nil || takes[0].Left != int64(99-round) {
			t.Errorf("round %d: %v, %+v", round, err, takes)
		}
		storetest.Add(t, s, "s", storetest.In(time.Hour, fmt.Sprint(round)))
		r.WaitFor(t, fmt.Sprint(round))
		func() {
			server.handing.Lock() // it has given up
			defer server.handing.Unlock()
		}()
	}
	select {
	case <-server.Succeeded():
		t.Error("it was succeeded")
	default:
	}
	if len(r.Losses()) > 0 {
		t.Error(r.Losses())
	}
}

// Who is to succeed nobody, or somebody who speaks otherwise, fails.
func TestSucceedNobody(t *testing.T) {
	path := socketPath(t)
	if _, err := Succeed(t.Context(), path, memory.New(memory.Options{})); err == nil || !strings.Contains(err.Error(), "take over the store at "+path) {
		t.Error(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = readHello(c)
			_, _ = c.Write(append(hello(welcome), "no dump at all"...))
			_ = c.Close()
		}
	}()
	if _, err := Succeed(t.Context(), path, memory.New(memory.Options{})); err == nil || !strings.Contains(err.Error(), "no dump") {
		t.Error(err)
	}
	if _, err := Succeed(t.Context(), "", memory.New(memory.Options{})); err == nil {
		t.Error("a path is needed")
	}
}

// The file of the socket stays for the successor, and goes with the last.
func TestSocketFile(t *testing.T) {
	path, _, server := serveHere(t, time.Now)
	m := memory.New(memory.Options{})
	l, err := Succeed(t.Context(), path, m)
	if err != nil {
		t.Fatal(err)
	}
	<-server.Succeeded()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	next := Serve(l, m, quiet())
	if err := open(t, path).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Error(left)
	}
}
