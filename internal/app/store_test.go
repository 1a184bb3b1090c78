package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/revocation"
	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" { // see act
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// withStore is a gateway whose store is a server with a password.
const withStore = `
listeners: [{address: "127.0.0.1:0"}]
store: {required: %v, redis: {host: 127.0.0.1, port: %d, password: "%s"}}
log: {access: {output: off}}
routes: [{name: health, path: /health, auth: none, endpoint: health}]
`

// output is written by the gateway and read by the test.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait waits until it has some text: the log is written by somebody else.
func (o *output) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(o.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not in the log:\n%s", text, o)
		}
	}
}

func newApp(t *testing.T, required bool, port int, password string) (*App, *output) {
	t.Helper()
	log := new(output)
	text := fmt.Sprintf(withStore, required, port, password)
	a, err := New(Options{File: "yett.yaml", Source: []byte(text), Env: config.MapEnv(nil), Stdout: io.Discard, Stderr: log})
	if err != nil {
		t.Fatal(err)
	}
	return a, log
}

// start starts a gateway that stops with the test.
func start(t *testing.T, a *App) {
	t.Helper()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func waitLost(t *testing.T, a *App, want bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); a.Store().Lost != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for lost: %v", want)
		}
	}
}

// D7, D51: a store that can't be used ends the start, with one line that says
// where it should be and what to do.
func TestStartWantsTheStore(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "correct horse")
	limited := redistest.Start(t, "--user", "default", "on", ">battery staple", "~*", "&*", "+@all", "-subscribe")
	nobody := redistest.Reserve(t)
	for _, test := range []struct {
		name     string
		port     int
		password string
		want     string
	}{
		{"nobody there", nobody.Port, "battery staple", "connection refused; start it, correct store.redis, or leave store.redis.host empty"},
		{"a wrong password", server.Port, "battery staple", "user is disabled.; correct store.redis.username and password; store.required: false"},
		{"no password", server.Port, "", "set store.redis.password"},
		{"a user who may not follow", limited.Port, "battery staple", "NOPERM"},
	} {
		a, log := newApp(t, true, test.port, test.password)
		err := a.Start(t.Context())
		if err == nil {
			t.Fatalf("%s: it starts", test.name)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		text := err.Error()
		if !strings.Contains(text, fmt.Sprintf("the store at 127.0.0.1:%d can't be used: ", test.port)) || !strings.Contains(text, test.want) {
			t.Errorf("%s: %s", test.name, text)
		}
		if strings.Contains(text, "\n") || strings.Contains(text, "staple") {
			t.Errorf("%s: more than one line, or the password, in %s", test.name, text)
		}
		if log.String() != "" {
			t.Errorf("%s: it is said twice: %s", test.name, log)
		}
	}
}

// Where the store is not required the gateway starts without, says so once,
// and finds it later.
func TestStoreComesLater(t *testing.T) {
	server := redistest.Reserve(t)
	a, log := newApp(t, false, server.Port, "")
	start(t, a)
	waitLost(t, a, true)
	for range 2 {
		since := a.Store().Since
		server.Start()
		waitLost(t, a, false)
		if !a.Store().Since.After(since) {
			t.Error("the time of the change stays the same")
		}
		server.Kill()
		waitLost(t, a, true)
	}
	text := log.String()
	if lost, back := strings.Count(text, "the store is lost"), strings.Count(text, "the store is back"); lost != 2 || back != 2 {
		t.Errorf("lost %d times, back %d times in\n%s", lost, back, text)
	}
	if first, _, _ := strings.Cut(text, "\n"); !strings.Contains(first, "started without the store: no revocations are known yet") || strings.Count(text, "started without") != 1 {
		t.Errorf("the start says\n%s", text)
	}
}

// A store that can be reached but does not tell the list in time is none.
func TestStartWithoutTheList(t *testing.T) {
	for _, test := range []struct {
		synced, lost bool
		missed       error
		want         string
	}{
		{false, false, errors.New("did not come"), "started without the store: no revocations are known yet"},
		{false, true, errors.New("did not come"), "started without the store: no revocations are known yet"},
		{true, true, nil, "the store is lost; what was known of it stays in effect"},
		{true, false, nil, ""},
	} {
		log := new(output)
		sh := &shared{synced: make(chan struct{}), silent: true, log: slog.New(slog.NewTextHandler(log, nil))}
		if test.synced {
			sh.find()
		}
		if test.lost {
			sh.lose(errors.New("gone"))
		}
		sh.speak(test.missed)
		if text := log.String(); !strings.Contains(text, test.want) || strings.Count(text, "\n") != min(1, len(test.want)) {
			t.Errorf("%+v: the log says %q", test, text)
		}
	}
}

// Before the gateway serves it has the list: nothing that was revoked earlier
// passes in the first moment.
func TestListIsThereBeforeServing(t *testing.T) {
	server := redistest.Start(t)
	s, err := redis.Open(t.Context(), redis.Options{Address: server.Address, Prefix: "yett:"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := revocation.Entry{Kind: revocation.ByID, ID: "early", Expires: time.Now().Add(time.Hour)}
	if err := revocation.Write(t.Context(), s, e); err != nil {
		t.Fatal(err)
	}
	a, log := newApp(t, true, server.Port, "")
	start(t, a)
	if !a.revoked.Revoked(&revocation.Token{ID: "early"}) {
		t.Error("what was revoked before the start passes")
	}
	if state := a.Store(); state.Name != "redis" || state.Lost {
		t.Errorf("%+v", state)
	}
	if strings.Contains(log.String(), "the store") {
		t.Errorf("there is nothing to say about the store:\n%s", log)
	}
}

// Checking connects nowhere.
func TestCheckDoesNotConnect(t *testing.T) {
	text := fmt.Sprintf(withStore, true, 1, "x")
	snap, err := Check(Options{File: "yett.yaml", Source: []byte(text), Env: config.MapEnv(nil)})
	if err != nil || snap.Store == nil || snap.Store.Address != "127.0.0.1:1" {
		t.Errorf("%+v, %v", snap, err)
	}
}
