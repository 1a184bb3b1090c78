package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
	"yett/internal/store/storetest"
)

const hour = time.Hour

// spend spends 1 of 1000 with a store that has to be there, and returns what is left.
func spend(t testing.TB, s *Store, key string) int64 {
	t.Helper()
	takes := []store.Take{{Name: "limit", Key: key, Rule: sliding(1000, hour), Cost: 1}}
	if err := s.Take(t.Context(), time.Now(), takes); err != nil {
		t.Fatal(err)
	}
	if !takes[0].Fits || takes[0].Granted != 1 {
		t.Fatalf("%+v", takes[0])
	}
	return takes[0].Left
}

// places are all kinds of places where a store can be.
func places(t *testing.T) map[string]func(*testing.T) Options {
	c := redistest.NewCertificate(t, "redis.test")
	user := []string{"--user", "gateway", "on", ">secret", "~*", "&*", "+@all", "--user", "default", "off"}
	return map[string]func(*testing.T) Options{
		"server": func(t *testing.T) Options {
			return Options{Address: redistest.StartTLS(t, c, user...).Address, Username: "gateway", Password: "secret", Database: 3, TLS: c.Client()}
		},
		"socket": func(t *testing.T) Options {
			_, path := redistest.StartSocket(t, user...)
			return Options{Socket: path, Username: "gateway", Password: "secret", Database: 3}
		},
		"sentinel": func(t *testing.T) Options {
			g := redistest.StartGroup(t, 1, redistest.GroupOptions{Password: "secret", SentinelPassword: "watchword", Certificate: c})
			return Options{Sentinel: &Sentinel{Primary: g.Name, Addresses: g.Addresses(), Password: "watchword"}, Password: "secret", Database: 3, TLS: c.Client()}
		},
		"cluster": func(t *testing.T) Options {
			return Options{Cluster: redistest.StartCluster(t, redistest.GroupOptions{Password: "secret", Certificate: c}).Addresses()[:2], Password: "secret", TLS: c.Client()}
		},
	}
}

func TestEverywhere(t *testing.T) {
	for name, start := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t)
			n := 0
			fresh := func() Options {
				n++
				o := o
				o.Timeout, o.Prefix = time.Second, fmt.Sprintf("test%d:", n)
				return o
			}
			storetest.Run(t, func(t *testing.T) func() store.Store {
				o := fresh()
				return func() store.Store { return open(t, o) }
			})
			s := open(t, fresh())
			if first, second := spend(t, s, "key"), spend(t, s, "key"); first != 999 || second != 998 {
				t.Errorf("%d and %d are left", first, second)
			}
			if err := s.Forget(t.Context(), "limit", "key"); err != nil {
				t.Error(err)
			}
			if left := spend(t, s, "key"); left != 999 {
				t.Errorf("after Forget %d are left", left)
			}
			for _, secret := range []string{"secret", "watchword"} {
				if strings.Contains(fmt.Sprintf("%v %+v", o, &o), secret) {
					t.Errorf("a password is in %v", o)
				}
			}
		})
	}
}

// Where passwords are wrong, that is said, and no password.
func TestWrongPasswordEverywhere(t *testing.T) {
	for name, start := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t)
			o.Password = "battery staple"
			s, err := Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "staple") || !strings.Contains(err.Error(), o.String()) {
				t.Errorf("%v", err)
			}
			if err := s.Take(t.Context(), time.Now(), []store.Take{{Name: "limit", Rule: sliding(1, hour), Cost: 1}}); err == nil || strings.Contains(err.Error(), "staple") {
				t.Errorf("Take: %v", err)
			}
			s.Close()
		})
	}
}

// comesLater opens a store where nobody is yet: it can be used already, fails at once,
// and finds the servers when they come.
func comesLater(t *testing.T, o Options, start func()) {
	s, err := Open(t.Context(), o)
	if s == nil || err == nil || !strings.Contains(err.Error(), o.String()) {
		t.Fatalf("%v, %v", s, err)
	}
	t.Cleanup(s.Close)
	r, _ := storetest.Follow(t, s, "s")
	r.WaitLosses(t, 1)
	for range 3 {
		begun := time.Now()
		if err := s.Take(t.Context(), time.Now(), []store.Take{{Name: "limit", Rule: sliding(1, hour), Cost: 1}}); err == nil {
			t.Error("nobody took something")
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if err := s.Add(t.Context(), "s", storetest.In(hour, "a")); err == nil {
			t.Error("nobody added something")
		}
		if err := s.Forget(t.Context(), "limit", ""); err == nil {
			t.Error("nobody forgot something")
		}
	}
	start()
	r.WaitSyncs(t, 1)
	storetest.Add(t, s, "s", storetest.In(hour, "a"))
	r.WaitFor(t, "a")
	spend(t, s, "key")
}

func TestComesLater(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		server := redistest.Reserve(t)
		comesLater(t, Options{Address: server.Address, Timeout: time.Second}, server.Start)
	})
	t.Run("sentinel", func(t *testing.T) {
		g := redistest.StartGroup(t, 1, redistest.GroupOptions{})
		all := append(append(g.Sentinels, g.Replicas...), g.Primary)
		restart := killAll(all)
		comesLater(t, Options{Sentinel: &Sentinel{Primary: g.Name, Addresses: g.Addresses()}, Timeout: time.Second}, restart)
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, redistest.GroupOptions{})
		restart := killAll(c.Nodes())
		comesLater(t, Options{Cluster: c.Addresses(), Timeout: time.Second}, func() { restart(); c.WaitOK() })
	})
}

func killAll(servers []*redistest.Server) (restart func()) {
	for _, s := range servers {
		s.Kill()
	}
	return func() {
		for _, s := range servers {
			s.Start()
		}
	}
}

// A mistake in where the store should be is told as such.
func TestWrongPlace(t *testing.T) {
	server := redistest.Start(t)
	g := redistest.StartGroup(t, 0, redistest.GroupOptions{})
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{Cluster: []string{server.Address}}, "is in no cluster"},
		{Options{Sentinel: &Sentinel{Primary: "other", Addresses: g.Addresses()}}, "No such master"},
		{Options{Sentinel: &Sentinel{Primary: "main", Addresses: []string{server.Address}}}, "unknown command"},
		{Options{Socket: "/nowhere/redis.sock"}, "no such file"},
	} {
		s, err := Open(t.Context(), test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", test.o, err)
		}
		s.Close()
	}
	for _, o := range []Options{
		{}, {Address: "a:1", Socket: "/b"}, {Sentinel: &Sentinel{Primary: "a"}}, {Sentinel: &Sentinel{Addresses: []string{"a:1"}}},
		{Cluster: []string{"a:1"}, Database: 1}, {Cluster: []string{"a:1"}, Prefix: "a{b}"},
	} {
		if s, err := Open(t.Context(), o); s != nil || err == nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// In a cluster what was spent elsewhere is given back when one limit refuses, and what
// is charged stays.
func TestRefusedInCluster(t *testing.T) {
	s := open(t, Options{Cluster: redistest.StartCluster(t, redistest.GroupOptions{}).Addresses(), Timeout: time.Second})
	rule := func(limit int64) store.Rule { return sliding(limit, hour) }
	for i := range 20 { // so that keys are on several nodes
		key := fmt.Sprint(i)
		takes := []store.Take{
			{Name: "wide", Key: "a" + key, Rule: rule(10), Cost: 2},
			{Name: "narrow", Key: "b" + key, Rule: rule(1), Cost: 1},
			{Name: "wide", Key: "c" + key, Rule: rule(10), Cost: 20, Least: 3},
			{Name: "wider", Key: "c" + key, Rule: rule(10), Cost: 1},
			{Name: "charged", Key: "d" + key, Rule: rule(10), Cost: 4, Action: store.Charge},
		}
		for round, want := range [][]int64{{8, 0, 0, 9, 6}, {8, 0, 0, 9, 2}, {8, 0, 0, 9, 0}} {
			if round > 0 {
				takes[2].Least = 0
				takes[2].Cost = 1
				takes[2].Soft = true
			}
			if err := s.Take(t.Context(), time.Now(), takes); err != nil {
				t.Fatal(err)
			}
			for j := range takes {
				granted := takes[j].Granted > 0
				if takes[j].Left != want[j] || granted != (round == 0 || j == 4) {
					t.Fatalf("round %d, take %d: %+v, want %d left", round, j, takes[j], want[j])
				}
			}
		}
	}
}

// Where a node can't count, the others give back what was spent there.
func TestOneNodeFails(t *testing.T) {
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	good, bad := "0", ""
	for i := 1; bad == ""; i++ {
		if key := fmt.Sprint(i); c.Owner("{"+key+"}") != c.Owner("{"+good+"}") {
			bad = key
		}
	}
	spend(t, s, good)
	c.Owner("{"+bad+"}").Do("CONFIG", "SET", "maxmemory", "1")
	takes := []store.Take{{Name: "limit", Key: good, Rule: sliding(1000, hour), Cost: 10}, {Name: "limit", Key: bad, Rule: sliding(1000, hour), Cost: 10, Fits: true}} // as after an earlier call
	if err := s.Take(t.Context(), time.Now(), takes); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("%v", err)
	}
	if left := spend(t, s, good); left != 998 {
		t.Errorf("%d are left", left)
	}
}

// The slot of a key is what servers say.
func TestSlot(t *testing.T) {
	server := redistest.Start(t, "--cluster-enabled", "yes")
	for _, key := range []string{"", "a", "123456789", "limit:l:{user}", "{}", "{}a", "a{", "a}b{c}", "{a}{b}", "a{b{c}d", "\x00\xff{\r}", strings.Repeat("long", 99)} {
		if got := server.Do("CLUSTER", "KEYSLOT", key)[0]; got != fmt.Sprintf(":%d", slot(key)) {
			t.Errorf("%q is in %s, not in %d", key, got, slot(key))
		}
	}
}
