package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
	"yett/internal/store/storetest"
)

// Two goroutines of the library sleep for up to five seconds before they close
// connections to nodes that have left a cluster, or ask who is in it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// open opens a store on a server that has to be there.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if s != nil {
		t.Cleanup(s.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		server := redistest.Start(t)
		return func() store.Store { return open(t, Options{Address: server.Address, Prefix: "test:"}) }
	})
}

// More than a page is told whole, also when all of it ends at the same moment.
func TestManyMembers(t *testing.T) {
	s := open(t, Options{Address: redistest.Start(t).Address})
	const n = 5*page + 1
	until := time.Now().Add(time.Hour)
	var batch []store.Entry
	for i := range n {
		batch = append(batch, store.Entry{Member: fmt.Sprint("member ", i), Until: until})
	}
	storetest.Add(t, s, "s", batch...)
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	if got := len(r.Members()); got != n {
		t.Errorf("%d members, want %d", got, n)
	}
}

// On the server a set is a sorted set under a key with a hash tag, which ends
// with its last member; members that have ended are gone from it.
func TestOnTheServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Prefix: "gate:"})
	storetest.Add(t, s, "s", storetest.In(-time.Hour, "ended"), storetest.In(-time.Second, "ended just now"), storetest.In(time.Hour, "later"), storetest.In(time.Minute, "soon"))
	if got := server.Do("ZCARD", "gate:{s}"); len(got) != 1 || got[0] != ":3" {
		t.Errorf("ZCARD answers %q", got)
	}
	left := server.Do("PTTL", "gate:{s}")
	ms, err := strconv.Atoi(strings.TrimPrefix(left[0], ":"))
	if want := time.Hour + store.Skew; err != nil || time.Duration(ms)*time.Millisecond > want || time.Duration(ms)*time.Millisecond < want-time.Minute {
		t.Errorf("PTTL answers %q", left)
	}
	storetest.Add(t, s, "ended", storetest.In(-time.Hour, "ended"))
	if got := server.Do("EXISTS", "gate:{ended}"); got[0] != ":0" {
		t.Errorf("a set of which all has ended is there: %q", got)
	}
	if got := server.Do("DBSIZE"); got[0] != ":1" {
		t.Errorf("there are other keys: %q", got)
	}
}

// Databases are separate, although the server's channels are not.
func TestDatabasesAreSeparate(t *testing.T) {
	server := redistest.Start(t)
	ours, theirs := open(t, Options{Address: server.Address, Database: 1}), open(t, Options{Address: server.Address, Database: 2})
	r, _ := storetest.Follow(t, ours, "s")
	r.WaitSyncs(t, 1)
	storetest.Add(t, theirs, "s", storetest.In(time.Hour, "theirs"))
	storetest.Add(t, ours, "s", storetest.In(time.Hour, "ours"))
	r.WaitFor(t, "ours")
	if got := r.Members(); len(got) != 1 {
		t.Errorf("told were %v", got)
	}
}

// quick fails the test when something takes longer than a call may.
func quick(t *testing.T, what string, call func() error) error {
	t.Helper()
	begun := time.Now()
	err := call()
	if took := time.Since(begun); took > callTimeout+late {
		t.Errorf("%s took %v", what, took)
	}
	return err
}

// D8: a server that does not answer is noticed, no call hangs on it, and when
// it goes on all is told anew.
func TestPausedServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address})
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	server.Pause()
	begun := time.Now()
	r.WaitLosses(t, 1)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it was noticed after %v", took)
	} else {
		t.Logf("noticed after %v", took)
	}
	for range 3 {
		if err := quick(t, "Add", func() error { return s.Add(t.Context(), "s", storetest.In(time.Hour, "a")) }); err == nil {
			t.Error("a server that does not answer took something")
		}
		if err := quick(t, "Ping", func() error { return s.Ping(t.Context()) }); err == nil {
			t.Error("a server that does not answer seems to be there")
		}
	}
	server.Resume()
	begun = time.Now()
	r.WaitSyncs(t, 2)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it was found again after %v", took)
	} else {
		t.Logf("found again after %v", took)
	}
	storetest.Add(t, s, "s", storetest.In(time.Hour, "b"))
	r.WaitFor(t, "b")
	if n := len(r.Losses()); n != 1 {
		t.Errorf("Lost was called %d times", n)
	}
}

// A server that was killed is noticed at once. Started again it is found, and
// is as empty as it is.
func TestKilledServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address})
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	for round := range 2 {
		server.Kill()
		r.WaitLosses(t, round+1)
		if err := quick(t, "Add", func() error { return s.Add(t.Context(), "s", storetest.In(time.Hour, "lost")) }); err == nil {
			t.Error("a server that is gone took something")
		}
		server.Start()
		begun := time.Now()
		r.WaitSyncs(t, round+2)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it was found again after %v", took)
		} else {
			t.Logf("found again after %v", took)
		}
		member := fmt.Sprint("new ", round)
		storetest.Add(t, s, "s", storetest.In(time.Hour, member))
		r.WaitFor(t, member)
	}
	if n := len(r.Losses()); n != 2 {
		t.Errorf("Lost was called %d times", n)
	}
}

// A server that is not there yet can be followed already.
func TestServerComesLater(t *testing.T) {
	server := redistest.Reserve(t)
	s, err := Open(t.Context(), Options{Address: server.Address})
	if s == nil || err == nil || !strings.Contains(err.Error(), server.Address) {
		t.Fatalf("%v, %v", s, err)
	}
	t.Cleanup(s.Close)
	r, _ := storetest.Follow(t, s, "s")
	r.WaitLosses(t, 1)
	server.Start()
	r.WaitSyncs(t, 1)
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r.WaitFor(t, "a")
}

// What vanished from the server while the connection held is noticed by
// reading all from time to time.
func TestReread(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Reread: 20 * time.Millisecond})
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	server.Do("ZADD", "{s}", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), "put there by hand")
	r.WaitFor(t, "put there by hand")
	r.WaitSyncs(t, 4)
}

// What others publish on the channel does no harm.
func TestRubbishIsSkipped(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address})
	r, _ := storetest.Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	for _, rubbish := range []string{"", "a", "x:y", ":", "99999999999999999999999:a"} {
		server.Do("PUBLISH", "{s}:0", rubbish)
	}
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r.WaitFor(t, "a")
	if got := r.Members(); len(got) != 1 {
		t.Errorf("told were %v", got)
	}
}

func TestPassword(t *testing.T) {
	const secret = "correct horse"
	server := redistest.Start(t, "--requirepass", secret)
	s := open(t, Options{Address: server.Address, Password: secret})
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r, _ := storetest.Follow(t, s, "s")
	r.WaitFor(t, "a")
	for password, want := range map[string]string{"battery staple": "WRONGPASS", "": "NOAUTH"} {
		s, err := Open(t.Context(), Options{Address: server.Address, Password: password})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "staple") || strings.Contains(err.Error(), "\n") {
			t.Errorf("password %q: %v", password, err)
		}
		s.Close()
	}
}

// The commands are those that docs/store.md lists.
func TestUserOfTheAccessControlList(t *testing.T) {
	const commands = "+eval +evalsha +time +get +set +del +zadd +zrange +zremrangebyscore +zscan +pexpireat +publish +subscribe +ping +hello +select"
	server := redistest.Start(t, append([]string{"--user", "gateway", "on", ">secret", "~gate:*", "&gate:*"}, strings.Fields(commands)...)...)
	s := open(t, Options{Address: server.Address, Username: "gateway", Password: "secret", Prefix: "gate:", Database: 1})
	r, _ := storetest.Follow(t, s, "s")
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r.WaitFor(t, "a")
	spend(t, s, "key")
	if err := s.Forget(t.Context(), "limit", "key"); err != nil {
		t.Error(err)
	}
	other, err := Open(t.Context(), Options{Address: server.Address, Username: "gateway", Password: "secret", Prefix: "other:"})
	if err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("with keys that the user may not have: %v", err)
	}
	other.Close()
}

// A replica answers, and is of no use.
func TestReplica(t *testing.T) {
	primary := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", primary.Host, strconv.Itoa(primary.Port))
	s, err := Open(t.Context(), Options{Address: replica.Address})
	if err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("a replica: %v", err)
	}
	s.Close()
}

func TestTLS(t *testing.T) {
	c := redistest.NewCertificate(t, "redis.test")
	server := redistest.StartTLS(t, c)
	s := open(t, Options{Address: server.Address, TLS: c.Client()})
	r, _ := storetest.Follow(t, s, "s")
	storetest.Add(t, s, "s", storetest.In(time.Hour, "a"))
	r.WaitFor(t, "a")
	for name, conf := range map[string]*tls.Config{
		"another name": {ServerName: "other.test", RootCAs: c.Pool}, "nobody believes it": {ServerName: "redis.test"}, "plain": nil,
	} {
		s, err := Open(t.Context(), Options{Address: server.Address, TLS: conf})
		if err == nil {
			t.Errorf("%s: connected", name)
		}
		s.Close()
	}
}

// Who accepts connections and never says anything does not hold anybody up,
// not even the end.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begun := time.Now()
	s, err := Open(t.Context(), Options{Address: l.Addr().String()})
	if err == nil {
		t.Error("it is there")
	}
	r, stop := storetest.Follow(t, s, "s")
	r.WaitLosses(t, 1)
	stop()
	s.Close()
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("no address is one")
	}
}

func TestClosed(t *testing.T) {
	s := open(t, Options{Address: redistest.Start(t).Address})
	s.Close()
	if err := s.Add(context.Background(), "s", storetest.In(time.Hour, "a")); err == nil || !strings.Contains(err.Error(), "the store is closed") {
		t.Errorf("after Close: %v", err)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := open(b, Options{Address: redistest.Start(b).Address})
	until := time.Now().Add(time.Hour)
	i := 0
	for b.Loop() {
		i++
		storetest.Add(b, s, "s", store.Entry{Member: strconv.Itoa(i), Until: until})
	}
}
