package redistest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// Cluster is three primaries with a replica each, which takes the place of its
// primary when that is gone for about half a second. Its methods may be called by the
// test's goroutine only.
type Cluster struct {
	// Primaries[i] has Replicas[i], at the beginning.
	Primaries, Replicas []*Server

	t testing.TB
}

// StartCluster starts a cluster, and waits until all nodes know all.
func StartCluster(t testing.TB, o GroupOptions) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 3 {
		c.Primaries = append(c.Primaries, c.startNode(o))
		c.Replicas = append(c.Replicas, c.startNode(o))
	}
	for i, s := range c.Primaries {
		add := []string{"CLUSTER", "ADDSLOTS"}
		for n := i * slots / 3; n < (i+1)*slots/3; n++ {
			add = append(add, strconv.Itoa(n))
		}
		c.ok(s, add...)
	}
	first := c.Primaries[0]
	for i, s := range c.Nodes() {
		c.ok(s, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if s != first {
			c.ok(s, "CLUSTER", "MEET", first.Host, strconv.Itoa(first.Port))
		}
	}
	c.each("all nodes know all", func(nodes string) bool {
		return strings.Count(nodes, "connected") == 6 && !strings.Contains(nodes, "handshake")
	})
	for i, s := range c.Replicas {
		c.ok(s, "CLUSTER", "REPLICATE", c.id(c.Primaries[i]))
	}
	c.each("there are three replicas", func(nodes string) bool { return strings.Count(nodes, "slave ") == 3 })
	c.WaitOK()
	return c
}

func (c *Cluster) startNode(o GroupOptions) *Server {
	c.t.Helper()
	s := Reserve(c.t)
	for !busFree(s.Port) {
		s = Reserve(c.t)
	}
	s.Options = []string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "500",
		"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}
	if o.Password != "" {
		s.Options = append(s.Options, "--requirepass", o.Password, "--masterauth", o.Password)
		s.Login(o.Password)
	}
	if o.Certificate != nil {
		s.tls = o.Certificate.Client()
		s.Options = append(s.Options, o.Certificate.options(s.Port)...)
	}
	s.Start()
	return s
}

// busFree tells whether a node at the port can talk to others, which it does at
// another one.
func busFree(port int) bool {
	if port > 55535 {
		return false
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+10000)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// ok wants a command to succeed.
func (c *Cluster) ok(s *Server, command ...string) {
	c.t.Helper()
	if got := s.Do(command...); got[0] != "+OK" && got[0] != "+NOKEY" {
		c.t.Fatalf("%s %s answers %q", command[0], command[1], got)
	}
}

func (c *Cluster) id(s *Server) string { return values(s.Do("CLUSTER", "MYID"))[0] }

// Nodes are all, also those that were killed.
func (c *Cluster) Nodes() []*Server { return slices.Concat(c.Primaries, c.Replicas) }

// Addresses are the nodes', as host:port.
func (c *Cluster) Addresses() []string {
	var a []string
	for _, s := range c.Nodes() {
		a = append(a, s.Address)
	}
	return a
}

// each waits until what every running node says of the others is as it should be.
func (c *Cluster) each(what string, holds func(nodes string) bool) {
	c.t.Helper()
	for _, s := range c.running() {
		wait(c.t, what, func() bool {
			nodes, err := s.do([]string{"CLUSTER", "NODES"})
			return err == nil && holds(strings.Join(nodes, "\n"))
		})
	}
}

// WaitOK waits until the running nodes serve all slots.
func (c *Cluster) WaitOK() {
	c.t.Helper()
	for _, s := range c.running() {
		wait(c.t, "the cluster serves all slots", func() bool {
			info, err := s.do([]string{"CLUSTER", "INFO"})
			return err == nil && slices.Contains(info, "cluster_state:ok")
		})
	}
}

// Owner returns the primary that has a key.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	for _, s := range c.running() {
		if answer, err := s.do([]string{"GET", key}); err == nil && !strings.HasPrefix(answer[0], "-MOVED") && !strings.HasPrefix(answer[0], "-CLUSTERDOWN") {
			return s
		}
	}
	c.t.Fatalf("nobody has %s", key)
	return nil
}

// Failover kills the primary of a key, and returns when its replica has its place.
func (c *Cluster) Failover(key string) {
	c.t.Helper()
	old := c.Owner(key)
	dead := c.id(old)
	old.Kill()
	c.waitFailover(dead)
}

// PausedFailover is Failover with a primary that does not answer any more.
func (c *Cluster) PausedFailover(key string) {
	c.t.Helper()
	old := c.Owner(key)
	dead := c.id(old)
	old.Pause()
	c.waitFailover(dead)
}

func (c *Cluster) waitFailover(dead string) {
	c.t.Helper()
	c.each("another primary has its place", func(nodes string) bool {
		for line := range strings.Lines(nodes) {
			if strings.HasPrefix(line, dead) {
				return strings.Contains(line, "fail") && len(strings.Fields(line)) == 8 // without slots
			}
		}
		return false
	})
	c.WaitOK()
}

// running are the nodes that answer.
func (c *Cluster) running() []*Server {
	return slices.DeleteFunc(c.Nodes(), func(s *Server) bool { return s.cmd == nil || s.paused })
}

// Move is the moving of a slot from one primary to another.
type Move struct {
	c        *Cluster
	slot     string
	from, to *Server
}

// BeginMove begins to move the slot of a key: what is there stays, what is new is made
// at the other primary.
func (c *Cluster) BeginMove(key string) *Move {
	c.t.Helper()
	from := c.Owner(key)
	to := c.Primaries[(slices.Index(c.Primaries, from)+1)%len(c.Primaries)]
	m := &Move{c: c, slot: strings.TrimPrefix(from.Do("CLUSTER", "KEYSLOT", key)[0], ":"), from: from, to: to}
	c.ok(to, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", c.id(from))
	c.ok(from, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", c.id(to))
	return m
}

// Keys moves up to n of the keys, and tells whether there were any.
func (m *Move) Keys(n int) bool {
	m.c.t.Helper()
	keys := values(m.from.Do("CLUSTER", "GETKEYSINSLOT", m.slot, strconv.Itoa(n)))
	if len(keys) == 0 {
		return false
	}
	m.c.ok(m.from, append([]string{"MIGRATE", m.to.Host, strconv.Itoa(m.to.Port), "", "0", "5000", "KEYS"}, keys...)...)
	return true
}

// End moves all keys that are left, and the slot.
func (m *Move) End() {
	m.c.t.Helper()
	for m.Keys(10) {
	}
	id := m.c.id(m.to)
	m.c.ok(m.to, "CLUSTER", "SETSLOT", m.slot, "NODE", id)
	m.c.ok(m.from, "CLUSTER", "SETSLOT", m.slot, "NODE", id)
}
