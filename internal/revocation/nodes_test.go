package revocation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

// node is a list that follows a real server, as on one of several machines.
type node struct {
	*List
	states <-chan error
}

func startNode(t *testing.T, server *redistest.Server) node {
	t.Helper()
	return startNodeReading(t, server, 200*time.Millisecond)
}

// startNodeReading is startNode for one that reads all that often.
func startNodeReading(t *testing.T, server *redistest.Server, reread time.Duration) node {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{Address: server.Address, Reread: reread})
	if s != nil {
		t.Cleanup(s.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := New()
	states, _ := follow(t, l, s)
	return node{l, states}
}

// waitState waits until the list is told that the store is lost, or back.
func (n node) waitState(t *testing.T, lost bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case err := <-n.states:
			if (err != nil) == lost {
				return
			}
		case <-timeout:
			t.Fatalf("waited in vain for lost: %v", lost)
		}
	}
}

// waitRevoked waits until a token is refused.
func (n node) waitRevoked(t *testing.T, jti string, limit time.Duration) {
	t.Helper()
	begun := time.Now()
	for !n.Revoked(&Token{ID: jti}) {
		if time.Since(begun) > limit {
			t.Fatalf("%s is not revoked after %v", jti, limit)
		}
		time.Sleep(100 * time.Microsecond) // a list tells nobody, it is asked
	}
}

// What one node adds counts on all of them within a second.
func TestAllNodes(t *testing.T) {
	server := redistest.Start(t)
	nodes := []node{startNode(t, server), startNode(t, server), startNode(t, server)}
	var worst time.Duration
	for i := range 200 {
		jti := fmt.Sprint("token ", i)
		begun := time.Now()
		if err := nodes[i%3].Add(t.Context(), id(jti)); err != nil {
			t.Fatal(err)
		}
		if !nodes[i%3].Revoked(&Token{ID: jti}) {
			t.Error("where it was added it does not count at once")
		}
		for _, n := range nodes {
			n.waitRevoked(t, jti, time.Second)
		}
		worst = max(worst, time.Since(begun))
	}
	t.Logf("on three nodes after %v at the latest", worst)
	late := startNode(t, server)
	if got := late.Counts(); got != (Counts{IDs: 200}) {
		t.Errorf("who comes later knows %+v", got)
	}
}

// With the store lost, what was known stays revoked, and what is added counts
// where it was added. When the store comes back empty, it gets all of it, and
// so do the others.
func TestStoreIsLostAndComesBackEmpty(t *testing.T) {
	server := redistest.Start(t)
	one, two := startNode(t, server), startNode(t, server)
	if err := one.Add(t.Context(), id("early"), subject("tom", time.Now())); err != nil {
		t.Fatal(err)
	}
	two.waitRevoked(t, "early", time.Second)
	server.Kill()
	one.waitState(t, true)
	two.waitState(t, true)
	for i, n := range []node{one, two} {
		begun := time.Now()
		if err := n.Add(t.Context(), id(fmt.Sprint("late ", i))); !errors.Is(err, ErrPending) {
			t.Errorf("with the store lost Add returns %v", err)
		}
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("with the store lost Add takes %v", took)
		}
		if !n.Revoked(&Token{ID: "early"}) || !n.Revoked(&Token{ID: fmt.Sprint("late ", i)}) || !n.Revoked(&Token{Subject: "tom"}) {
			t.Error("something is not revoked")
		}
	}
	if two.Revoked(&Token{ID: "late 0"}) {
		t.Error("who could have told the other?")
	}
	server.Start()
	begun := time.Now()
	two.waitRevoked(t, "late 0", 5*time.Second)
	one.waitRevoked(t, "late 1", 5*time.Second)
	t.Logf("%v after the server is back each knows all", time.Since(begun))
	waitUntil(t, "nothing is pending", func() bool { return one.Counts().Pending+two.Counts().Pending == 0 })
	late := startNode(t, server)
	if got := late.Counts(); got != (Counts{IDs: 3, Subjects: 1}) {
		t.Errorf("who comes later knows %+v", got)
	}
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// A write that the server refuses is done again.
func TestRefusedWrite(t *testing.T) {
	server := redistest.Start(t)
	n := startNodeReading(t, server, time.Hour) // so that nothing else makes it try again
	server.Do("CONFIG", "SET", "maxmemory", "1")
	err := n.Add(t.Context(), id("a"))
	if !errors.Is(err, ErrPending) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a full server: %v", err)
	}
	if !n.Revoked(&Token{ID: "a"}) || n.Counts().Pending != 1 {
		t.Errorf("%+v", n.Counts())
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	waitUntil(t, "the server has it", func() bool { return server.Do("EXISTS", "{revocations}")[0] == ":1" })
}

// What vanishes from a server that is there all the time is put back.
func TestServerForgets(t *testing.T) {
	server := redistest.Start(t)
	n := startNode(t, server)
	if err := n.Add(t.Context(), id("a")); err != nil {
		t.Fatal(err)
	}
	server.Do("FLUSHALL")
	waitUntil(t, "the server has it again", func() bool { return server.Do("EXISTS", "{revocations}")[0] == ":1" })
}

// Many entries are given back too, by several nodes at once.
func TestManyEntriesAreGivenBack(t *testing.T) {
	server := redistest.Start(t)
	one, two := startNode(t, server), startNode(t, server)
	const n = 10*batch + 7
	var entries []Entry
	for i := range n {
		entries = append(entries, id(fmt.Sprint(i)))
	}
	if err := one.Add(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "both know all", func() bool { return two.Counts().IDs == n })
	server.Kill()
	one.waitState(t, true)
	two.waitState(t, true)
	server.Start()
	begun := time.Now()
	waitUntil(t, "the server has all", func() bool { return server.Do("ZCARD", "{revocations}")[0] == fmt.Sprint(":", n) })
	t.Logf("%d entries are back after %v", n, time.Since(begun))
	waitUntil(t, "nothing is pending", func() bool { return one.Counts().Pending+two.Counts().Pending == 0 })
}

// Nodes add at random while the server is killed, paused and started again. In
// the end every node knows all that any of them was given.
func TestRandomFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	server := redistest.Start(t)
	nodes := []node{startNode(t, server), startNode(t, server), startNode(t, server)}
	var wg sync.WaitGroup
	const each = 60
	for i, n := range nodes {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for k := range each {
				_ = n.Add(t.Context(), id(fmt.Sprint(i, k)))
				time.Sleep(rand.N(time.Duration(random.IntN(50))*time.Millisecond + 1))
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for range 4 {
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		if random.IntN(2) == 0 {
			server.Kill()
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
			server.Start()
		} else {
			server.Pause()
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			server.Resume()
		}
	}
	wg.Wait()
	for i, n := range nodes {
		waitUntil(t, fmt.Sprintf("node %d knows all", i), func() bool { return n.Counts() == Counts{IDs: 3 * each} })
	}
}
