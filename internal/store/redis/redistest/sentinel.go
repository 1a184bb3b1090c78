package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Group is a primary, its replicas, and three sentinels who watch them and choose
// another primary when it is gone for 300 ms. Its methods may be called by the
// test's goroutine only.
type Group struct {
	Name    string
	Primary *Server
	// Replicas are all others, also those that were killed.
	Replicas, Sentinels []*Server

	t testing.TB
}

// GroupOptions say how the servers of a Group are reached.
type GroupOptions struct {
	// Password is the servers', SentinelPassword the sentinels'; none when empty.
	Password, SentinelPassword string
	// Certificate makes all of them speak TLS, unless nil.
	Certificate *Certificate
}

// StartGroup starts a group with that many replicas, and waits until the sentinels
// know all of it.
func StartGroup(t testing.TB, replicas int, o GroupOptions) *Group {
	t.Helper()
	g := &Group{Name: "main", t: t}
	for i := range replicas + 1 {
		s := Reserve(t)
		if o.Password != "" {
			s.Options = append(s.Options, "--requirepass", o.Password, "--masterauth", o.Password)
			s.Login(o.Password)
		}
		if o.Certificate != nil {
			s.tls = o.Certificate.Client()
			s.Options = append(s.Options, o.Certificate.options(s.Port)...)
		}
		s.Options = append(s.Options, "--repl-diskless-sync-delay", "0")
		if i == 0 {
			g.Primary = s
		} else {
			s.Options = append(s.Options, "--replicaof", g.Primary.Host, strconv.Itoa(g.Primary.Port))
			g.Replicas = append(g.Replicas, s)
		}
		s.Start()
	}
	g.waitUntilLinked() // who comes later is noticed within ten seconds
	for range 3 {
		g.Sentinels = append(g.Sentinels, g.startSentinel(o))
	}
	g.waitUntilKnown()
	return g
}

func (g *Group) startSentinel(o GroupOptions) *Server {
	g.t.Helper()
	s := Reserve(g.t)
	var conf strings.Builder
	fmt.Fprintf(&conf, "bind %s\nport %d\ndir %s\nloglevel warning\n", s.Host, s.Port, s.dir)
	fmt.Fprintf(&conf, "sentinel monitor %s %s %d 2\n", g.Name, g.Primary.Host, g.Primary.Port)
	fmt.Fprintf(&conf, "sentinel down-after-milliseconds %[1]s 300\nsentinel failover-timeout %[1]s 3000\n", g.Name)
	if o.Password != "" {
		fmt.Fprintf(&conf, "sentinel auth-pass %s %s\n", g.Name, o.Password)
	}
	if o.SentinelPassword != "" {
		fmt.Fprintf(&conf, "requirepass %[1]s\nsentinel sentinel-pass %[1]s\n", o.SentinelPassword)
		s.Login(o.SentinelPassword)
	}
	if o.Certificate != nil {
		s.tls = o.Certificate.Client()
		options := o.Certificate.options(s.Port)
		for i := 0; i < len(options); i += 2 {
			fmt.Fprintf(&conf, "%s %s\n", strings.TrimPrefix(options[i], "--"), options[i+1])
		}
	}
	file := filepath.Join(s.dir, "sentinel.conf") // which it writes too
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		g.t.Fatal(err)
	}
	s.args = []string{file, "--sentinel"}
	s.Start()
	return s
}

// waitUntilKnown waits until every sentinel knows the others and the replicas.
func (g *Group) waitUntilKnown() {
	g.t.Helper()
	for _, s := range g.Sentinels {
		wait(g.t, "a sentinel knows the group", func() bool {
			info, err := s.do([]string{"INFO", "sentinel"})
			want := fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d", g.Primary.Address, len(g.Replicas), len(g.Sentinels))
			return err == nil && strings.Contains(strings.Join(info, "\n"), want)
		})
	}
}

func (g *Group) waitUntilLinked() {
	g.t.Helper()
	for _, s := range g.Replicas {
		wait(g.t, "a replica has what the primary has", func() bool {
			info, err := s.do([]string{"INFO", "replication"})
			return err == nil && slices.Contains(info, "master_link_status:up")
		})
	}
}

// Addresses are the sentinels', as host:port.
func (g *Group) Addresses() []string {
	var a []string
	for _, s := range g.Sentinels {
		a = append(a, s.Address)
	}
	return a
}

// Failover kills the primary, and returns when the sentinels have made another.
func (g *Group) Failover() {
	g.t.Helper()
	g.Primary.Kill()
	g.WaitFailover()
}

// WaitFailover waits until the sentinels have another primary.
func (g *Group) WaitFailover() {
	g.t.Helper()
	old := g.Primary
	for _, s := range g.Sentinels {
		if s.cmd == nil {
			continue
		}
		wait(g.t, "the sentinels have another primary", func() bool {
			answer, err := s.do([]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name})
			if at := values(answer); err == nil && len(at) == 2 && net.JoinHostPort(at[0], at[1]) != old.Address {
				g.promote(net.JoinHostPort(at[0], at[1]))
				return true
			}
			return false
		})
	}
	wait(g.t, "it is one", func() bool {
		role, err := g.Primary.do([]string{"ROLE"})
		return err == nil && slices.Contains(role, "master")
	})
}

// promote notes who is the primary.
func (g *Group) promote(address string) {
	for i, s := range g.Replicas {
		if s.Address == address {
			g.Primary, g.Replicas[i] = s, g.Primary
			return
		}
	}
}
