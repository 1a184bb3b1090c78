package app

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/revocation"
	"yett/internal/store"
)

const heirConfig = `
listeners: [{address: "127.0.0.1:0"}]
routes: [{name: ready, path: /ready, auth: none, endpoint: ready}]
`

// generation makes an App that has not started.
func generation(t *testing.T, predecessor io.ReadWriteCloser) *App {
	t.Helper()
	file := filepath.Join(t.TempDir(), "yett.yaml")
	if err := os.WriteFile(file, []byte(heirConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{File: file, Env: config.MapEnv(nil), Stdout: io.Discard, Stderr: t.Output(), Predecessor: predecessor})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// spend counts once, and tells whether that was allowed.
func spend(t *testing.T, a *App) bool {
	t.Helper()
	takes := []store.Take{{Name: "limit", Key: "somebody", Cost: 1, Rule: store.Rule{Limit: 5, Window: time.Hour}}}
	if err := a.here.Take(t.Context(), time.Now(), takes); err != nil {
		t.Fatal(err)
	}
	return takes[0].Fits
}

func revoke(t *testing.T, a *App, member string) {
	t.Helper()
	if err := a.here.Add(t.Context(), revocation.Set, store.Entry{Member: member, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
}

// revoked waits until a process knows of a revocation.
func revoked(t *testing.T, a *App, member string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	found := false
	a.here.Follow(ctx, revocation.Set, &finder{member: member, found: func() { found = true; cancel() }})
	if !found {
		t.Errorf("the new process never hears of %s", member)
	}
}

type finder struct {
	member string
	found  func()
}

func (f *finder) Added(e store.Entry) {
	if e.Member == f.member {
		f.found()
	}
}
func (*finder) Synced()    {}
func (*finder) Lost(error) {}

// What the old process has counted goes along, and what it counts until it has drained, unless
// that is less than what the new one has by then; revocations go along at once.
func TestHeir(t *testing.T) {
	old := generation(t, nil)
	if err := old.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	spend(t, old)
	revoke(t, old, "before")
	ours, theirs := net.Pipe()
	heir := old.Bequeath(ours)
	next := generation(t, theirs)
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	revoked(t, next, "before")
	revoke(t, old, "meanwhile")
	revoked(t, next, "meanwhile")
	spend(t, old)
	spend(t, old)
	spend(t, next)
	revoke(t, old, "last")
	if err := old.Leave(t.Context(), heir); err != nil {
		t.Error(err)
	}
	next.background.Wait() // the last has come
	revoked(t, next, "last")
	left := 0
	for spend(t, next) {
		left++
	}
	if left != 2 { // of 5: the old one has counted 3, the new one 2, and both are of the same caller
		t.Errorf("%d are left", left)
	}
	if err := next.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// An heir that never asks, or is gone, keeps nobody.
func TestHeirIsDisowned(t *testing.T) {
	old := generation(t, nil)
	if err := old.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	old.Bequeath(ours).Disown()
	gone, dead := net.Pipe()
	_ = dead.Close()
	heir := old.Bequeath(gone)
	if err := old.Leave(t.Context(), heir); err != nil {
		t.Error(err)
	}
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// A process that can't have what the one before it keeps does not start.
func TestNoInheritance(t *testing.T) {
	for name, say := range map[string]string{
		"nothing": "", "half a message": "P\x00\x00", "nonsense": "nonsense", "too much": "P\xff\xff\xff\xff",
		"no dump": "P\x00\x00\x00\x01x.\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = io.ReadFull(ours, make([]byte, 1))
				_, _ = io.WriteString(ours, say)
				_ = ours.Close()
			}()
			a := generation(t, theirs)
			if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "taking over limits and revocations") {
				t.Errorf("%v", err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCutSaysHowMany(t *testing.T) {
	conf := config.Shutdown{Grace: config.Duration(10 * time.Second), Tunnels: config.Duration(time.Minute)}
	for _, tt := range []struct {
		requests, tunnels int
		want              string
	}{
		{1, 0, "1 request after shutdown.grace (10s)"},
		{2, 1, "2 requests after shutdown.grace (10s), 1 tunnel or event stream after shutdown.tunnels (1m)"},
		{0, 3, "3 tunnels or event streams after shutdown.tunnels (1m)"},
	} {
		c := Cut{shutdown: conf}
		c.Requests, c.Tunnels = tt.requests, tt.tunnels
		if got := c.Error(); !strings.HasSuffix(got, "ended were "+tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
