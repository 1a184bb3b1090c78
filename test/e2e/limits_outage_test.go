//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store/redis/redistest"
)

const (
	// outageLimit is what passes in each window by the limits local and open, and
	// leasedLimit by the limit leased.
	outageLimit = 20
	leasedLimit = 40
	// outageRate is how often each gateway is asked for each route in a second.
	outageRate = 50
	// outageWindow is the window of all these limits.
	outageWindow = 500 * time.Millisecond
)

// outageConfig has a route for each way to go on without a store, and one that is not
// limited. In a cluster the limit wide is on another node.
const outageConfig = quietConfig + `
  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}
  - {name: local, path: /local, auth: none, service: app, policies: {ratelimit: {limits: [local, wide]}}}
  - {name: leased, path: /leased, auth: none, service: app, policies: {ratelimit: {limits: [leased]}}}
  - {name: open, path: /open, auth: none, service: app, policies: {ratelimit: {limits: [open]}}}
  - {name: closed, path: /closed, auth: none, service: app, policies: {ratelimit: {limits: [closed]}}}
limits:
  local: {limit: 20, window: 500ms, by: ip}
  leased: {limit: 40, window: 500ms, by: ip, precision: leased}
  wide: {limit: 100000, window: 500ms, by: route}
  open: {limit: 20, window: 500ms, by: ip, on_store_failure: open}
  closed: {limit: 100000, window: 500ms, by: ip, on_store_failure: closed}
store:
  required: ${REQUIRED:-true}
  redis: `

var outagePaths = []string{"/local", "/leased", "/open", "/closed", "/free"}

// outageKey is where the limit local counts.
const outageKey = "yett:limit:local:{ip:127.0.0.1}"

// outage is two gateways with a store, and callers.
type outage struct {
	t        *testing.T
	gateways []*gateway
	client   *http.Client
	load     *callers
	table    []string
}

func newOutage(t *testing.T, store string) *outage {
	t.Helper()
	o := &outage{t: t, client: newClient(t)}
	config, app := write(t, "yett.yaml", outageConfig+store+"\n"), startApp(t).URL
	for range 2 {
		o.gateways = append(o.gateways, run(t, config, "APP="+app))
	}
	waitNodes(o.client, o.gateways, 2)
	return o
}

func startOutage(t *testing.T, store string) *outage {
	t.Helper()
	o := newOutage(t, store)
	o.load = startCallers(t)
	for i, g := range o.gateways {
		for _, path := range outagePaths {
			o.load.call(i, g, path, 1, outageRate, nil)
		}
	}
	time.Sleep(outageWindow)
	return o
}

// fault is what may become of a store. It has ended when heal returns.
type fault struct {
	name       string
	fail, heal func()
	// unseen tells that the gateways don't lose the store.
	unseen bool
	// brief tells that it may be over before it is seen.
	brief bool
	// flaps tells that the store is there now and then.
	flaps bool
}

// phases are when a fault began, when both gateways had seen it, when it had ended, when the
// first gateway had found the store, and when both had.
type phases struct{ calm, began, seen, ended, found, back time.Time }

// suffer lets a fault happen, and wants all to go on as it should.
func (o *outage) suffer(f fault) {
	o.t.Helper()
	said := o.listen()
	p := phases{calm: time.Now()}
	time.Sleep(outageWindow)
	p.began = time.Now()
	f.fail()
	for i, g := range o.gateways {
		if !f.unseen {
			g.waitLimits(o.client, "lost", func(h limitsHealth) bool { return h.Losses > said[i].losses })
		}
	}
	p.seen = time.Now()
	if !f.brief {
		time.Sleep(outageWindow * 3 / 2)
	}
	f.heal()
	p.ended = time.Now()
	for _, g := range o.gateways {
		g.waitLimits(o.client, "found again", func(h limitsHealth) bool { return h.State == "shared" })
	}
	p.back = time.Now()
	p.found = p.back
	for _, g := range o.gateways {
		if at := g.lastSaid(saidAgain); at.After(p.began) && at.Before(p.found) {
			p.found = at
		}
	}
	time.Sleep(outageWindow * 3 / 2)
	disturbed := o.judgeLog(f, said)
	all := o.load.since(p.calm)
	if lasted := p.back.Sub(p.ended); lasted > 2*time.Second && (lasted > 5*time.Second || quiet(all)) {
		o.t.Errorf("%s: found %v after its end", f.name, lasted)
	}
	o.judge(f, p, all)
	if !disturbed {
		o.judgeCounts(f, p, all)
	}
	o.row(f, p, all)
}

// saying is how often a gateway has lost the store, and has said that it is lost, lost because
// answers came late, and back.
type saying struct{ losses, alone, late, again int64 }

func (o *outage) listen() []saying {
	var all []saying
	for _, g := range o.gateways {
		g.waitLimits(o.client, "shared", func(h limitsHealth) bool { return h.State == "shared" })
		all = append(all, saying{g.limits(o.client).Losses, g.said(saidAlone), g.said(saidAlone, saidLate), g.said(saidAgain)})
	}
	return all
}

// judgeLog wants each gateway to say once that the store is lost, and once that it is back. A
// machine that is so busy that answers come late brings further losses, of which it tells.
func (o *outage) judgeLog(f fault, before []saying) (disturbed bool) {
	o.t.Helper()
	for i, now := range o.listen() {
		b := before[i]
		got := saying{now.losses - b.losses, now.alone - b.alone, now.late - b.late, now.again - b.again}
		want := int64(1)
		if f.unseen {
			want = 0
		}
		extra := got.losses - want
		if got.alone != got.losses || got.again != got.losses || extra < 0 || (extra > got.late && !f.flaps) {
			o.t.Errorf("%s: gateway %d has lost the store, and said so: %+v", f.name, i, got)
		}
		disturbed = disturbed || (extra > 0 && !f.flaps)
	}
	if disturbed {
		o.t.Logf("%s: further answers came late, the machine is busy", f.name)
	}
	return disturbed
}

// judge wants that nobody had to wait or got an answer that is not the store's fault.
func (o *outage) judge(f fault, p phases, all []shot) {
	o.t.Helper()
	for i := range all {
		s := &all[i]
		may := []int{200, 429}
		switch s.path {
		case "/free":
			may = []int{200}
		case "/closed":
			may = []int{200, 503}
		}
		if s.status != may[0] && (len(may) < 2 || s.status != may[1]) {
			o.t.Errorf("%s: %s answers %d, %v after it began (%v)", f.name, s.path, s.status, s.sent.Sub(p.began), s.err)
		}
		if s.took() > time.Second {
			o.t.Errorf("%s: %s took %v, sent %v after it began", f.name, s.path, s.took(), s.sent.Sub(p.began))
		}
	}
	if p99 := percentile(between(all, p.began, p.began.Add(500*time.Millisecond)), 0.99); p99 > 250*time.Millisecond {
		o.t.Errorf("%s: the 99th percentile is %v at its beginning", f.name, p99)
	}
}

// judgeCounts wants the limits to hold.
func (o *outage) judgeCounts(f fault, p phases, all []shot) {
	o.t.Helper()
	calm := quiet(between(all, p.back, time.Now()))
	for path, limit := range map[string]int{"/local": outageLimit, "/leased": leasedLimit} {
		of := which(all, func(s *shot) bool { return s.path == path })
		if n := most(between(of, time.Time{}, p.began), outageWindow); n > limit && quiet(between(all, time.Time{}, p.began)) {
			o.t.Errorf("%s: before, %d passed %s in a window", f.name, n, path)
		}
		if n := most(of, outageWindow); n > 2*limit {
			o.t.Errorf("%s: %d passed %s in a window", f.name, n, path)
		}
		after := between(of, p.back, time.Now())
		if n, all := len(which(after, passed)), most(after, outageWindow); calm && (all > limit || n < limit/2) || n == 0 {
			o.t.Errorf("%s: afterwards, %d passed %s, %d in a window", f.name, n, path, all)
		}
		if !f.unseen && !f.flaps {
			o.judgeShares(f, between(of, p.seen, p.found), limit/len(o.gateways))
		}
	}
	if !f.unseen && !f.brief && !f.flaps {
		o.judgeAlone(f, p, all, calm)
	}
}

// quiet tells whether the machine was not so busy that an answer of the store can have come
// late, to a request that then went on alone. Where many tests share few processors what is
// measured says nothing about the gateways.
func quiet(all []shot) bool {
	return percentile(which(all, func(s *shot) bool { return s.path == "/free" }), 1) < 20*time.Millisecond
}

// judgeShares wants each node to have its share while the store is lost.
func (o *outage) judgeShares(f fault, alone []shot, share int) {
	o.t.Helper()
	for i := range o.gateways {
		of := which(alone, func(s *shot) bool { return s.node == i })
		if n := most(of, outageWindow); n > share {
			o.t.Errorf("%s: alone, gateway %d let %d pass in a window, its share is %d", f.name, i, n, share)
		}
	}
}

// judgeAlone wants limits that open to let pass all, and those that close nobody. calm tells
// whether all was quiet afterwards.
func (o *outage) judgeAlone(f fault, p phases, all []shot, calm bool) {
	o.t.Helper()
	alone := between(all, p.seen, p.ended.Add(-50*time.Millisecond)) // heal takes a while
	for path, status := range map[string]int{"/open": 200, "/closed": 503} {
		n := statuses(which(alone, func(s *shot) bool { return s.path == path }))
		if n[status] == 0 || len(n) != 1 {
			o.t.Errorf("%s: alone, %s answers %v", f.name, path, n)
		}
	}
	if n := statuses(which(between(all, p.back, time.Now()), func(s *shot) bool { return s.path == "/closed" })); n[200] == 0 || (len(n) != 1 && calm) {
		o.t.Errorf("%s: afterwards, /closed answers %v", f.name, n)
	}
}

// between are those that were sent from a time on and answered before another one.
func between(all []shot, from, to time.Time) []shot {
	return which(all, func(s *shot) bool { return !s.sent.Before(from) && s.got.Before(to) })
}

// row notes how long requests took that are limited, and beside, those that are not.
func (o *outage) row(f fault, p phases, all []shot) {
	free := which(all, func(s *shot) bool { return s.path == "/free" })
	limited := which(all, func(s *shot) bool { return s.path != "/free" })
	local := which(limited, func(s *shot) bool { return s.path == "/local" })
	ms := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) }
	row := fmt.Sprintf("%-24s", f.name)
	soon := p.began.Add(500 * time.Millisecond)
	for _, phase := range [][2]time.Time{{p.calm, p.began}, {p.began, soon}, {soon, p.ended}, {p.back, time.Now()}} {
		of, beside := between(limited, phase[0], phase[1]), between(free, phase[0], phase[1])
		row += fmt.Sprintf(" | %4s %5s %5s", ms(percentile(of, 0.5)), ms(percentile(of, 0.99)), ms(percentile(beside, 0.99)))
	}
	o.table = append(o.table, row+fmt.Sprintf(" | %5s %5s | %3d %3d", ms(p.seen.Sub(p.began)), ms(p.back.Sub(p.ended)),
		most(local, outageWindow), len(which(between(local, p.back, time.Now()), passed))))
}

// show logs the table: for each phase the 50th and 99th percentile of limited requests, and the
// 99th of those that are not limited; after what time the loss was seen and the store was
// found; the most that passed /local in a window, and how many did afterwards.
func (o *outage) show() {
	o.t.Logf("in ms                      calm: p50 p99 free | begin: p50 p99 free | alone: p50 p99 free | after: p50 p99 free | seen back | passed\n%s", strings.Join(o.table, "\n"))
}

func TestLimitsOutageOfServer(t *testing.T) {
	t.Parallel()
	c := redistest.NewCertificate(t, "redis.test")
	server := redistest.StartTLS(t, c, "--requirepass", "secret")
	server.Login("secret")
	other := redistest.Reserve(t) // which is not there
	set := func(name, value string) { server.Do("CONFIG", "SET", name, value) }
	o := startOutage(t, fmt.Sprintf(`{host: 127.0.0.1, port: %d, password: secret, tls: {ca: %s, server_name: redis.test}}`, server.Port, c.CertFile))
	for _, f := range []fault{
		{name: "kill -9", fail: server.Kill, heal: server.Start},
		{name: "SIGSTOP", fail: server.Pause, heal: server.Resume},
		{name: "started again, empty", fail: func() { server.Kill(); time.Sleep(100 * time.Millisecond); server.Start() }, heal: func() {}, brief: true}, // a call meets it
		{
			name: "a replica, read only",
			fail: func() { server.Do("REPLICAOF", other.Host, strconv.Itoa(other.Port)) },
			heal: func() { server.Do("REPLICAOF", "NO", "ONE") },
		},
		{
			name: "another password",
			fail: func() {
				set("requirepass", "other")
				server.Login("other")
				server.Do("CLIENT", "KILL", "TYPE", "normal")
				server.Do("CLIENT", "KILL", "TYPE", "pubsub")
			},
			heal: func() { set("requirepass", "secret"); server.Login("secret") },
		},
		{name: "out of memory", fail: func() { set("maxmemory", "1") }, heal: func() { set("maxmemory", "0") }},
	} {
		o.suffer(f)
	}
	o.show()
}

// proxy stands between gateways and a server, and cuts connections in the middle of an
// answer when told so.
type proxy struct {
	listener net.Listener
	to       string
	// cut is after how many bytes of answers a connection ends, never when 0.
	cut atomic.Int64
	// hiccup is how long the next answer takes longer.
	hiccup atomic.Int64
	ended  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, conns: make(map[net.Conn]bool)}
	p.ended.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			conn.Close()
			continue
		}
		p.keep(conn, true)
		p.ended.Go(func() { _, _ = io.Copy(server, conn); conn.Close(); server.Close() })
		p.ended.Go(func() { p.answer(conn, server); conn.Close(); server.Close(); p.keep(conn, false) })
	}
}

func (p *proxy) keep(conn net.Conn, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if keep {
		p.conns[conn] = true
	} else {
		delete(p.conns, conn)
	}
}

func (p *proxy) answer(conn, server net.Conn) {
	b := make([]byte, 1024)
	for sent := int64(0); ; {
		n, err := server.Read(b)
		if d := p.hiccup.Swap(0); d > 0 {
			time.Sleep(time.Duration(d))
		}
		if cut := p.cut.Load(); cut > 0 && sent+int64(n) > cut {
			_, _ = conn.Write(b[:max(0, min(int64(n), cut-sent))])
			return
		}
		if _, failed := conn.Write(b[:n]); err != nil || failed != nil {
			return
		}
		sent += int64(n)
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

// Connections end in the middle of an answer: once, or all of them for a while, in handshakes
// too. A single answer that comes late is no loss.
func TestLimitsOutageOfConnections(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startProxy(t, server.Address)
	o := startOutage(t, fmt.Sprintf(`{host: 127.0.0.1, port: %d, timeout: 100ms}`, p.port()))
	cut := func(bytes int64) func() { return func() { p.cut.Store(bytes) } }
	o.suffer(fault{name: "all are cut once", brief: true, flaps: true, fail: cut(20), heal: cut(0)})
	o.suffer(fault{name: "cut in handshakes", fail: cut(20), heal: cut(0)})
	o.suffer(fault{name: "cut after 700 bytes", flaps: true, fail: cut(700), heal: cut(0)})
	o.show()
}

// An answer that comes late now and then is no loss: the request goes on alone.
func TestLimitsOneLateAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startProxy(t, server.Address)
	o := newOutage(t, fmt.Sprintf(`{host: 127.0.0.1, port: %d, timeout: 100ms}`, p.port()))
	c := &caller{g: o.gateways[0], path: "/closed", to: new(shots)}
	defer c.hangUp()
	for i := range 10 {
		if i%3 == 0 {
			p.hiccup.Store(int64(150 * time.Millisecond))
		}
		if s := c.call(); s.err != nil || (s.status != http.StatusOK && i%3 != 0) {
			t.Errorf("request %d: status %d after %v (%v)", i, s.status, s.took(), s.err)
		}
	}
	if h := o.gateways[0].limits(o.client); h.Losses != 0 || h.State != "shared" {
		t.Errorf("the store was lost: %+v", h)
	}
}

// Each group has one replica only: among several, sentinels may choose one after the other.
func TestLimitsOutageOfGroup(t *testing.T) {
	for name, fail := range map[string]func(*redistest.Server){"kill -9": (*redistest.Server).Kill, "SIGSTOP": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := redistest.StartGroup(t, 1, redistest.GroupOptions{})
			o := startOutage(t, fmt.Sprintf(`{sentinel: {primary: %s, addresses: ["%s"]}}`, g.Name, strings.Join(g.Addresses(), `", "`)))
			o.suffer(fault{name: "primary: " + name, fail: func() { fail(g.Primary) }, heal: g.WaitFailover, brief: true})
			now := g.Primary
			o.suffer(fault{name: "primary: out of memory", fail: func() { now.Do("CONFIG", "SET", "maxmemory", "1") }, heal: func() { now.Do("CONFIG", "SET", "maxmemory", "0") }})
			for _, s := range g.Sentinels {
				s.Kill()
			}
			o.suffer(fault{name: "no sentinels", fail: func() {}, heal: func() {}, unseen: true})
			o.show()
		})
	}
}

func TestLimitsOutageOfCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	o := startOutage(t, fmt.Sprintf(`{cluster: ["%s"]}`, strings.Join(c.Addresses(), `", "`)))
	o.suffer(fault{name: "a slot moves", unseen: true, fail: func() {
		m := c.BeginMove(outageKey)
		time.Sleep(100 * time.Millisecond)
		m.Keys(1)
		time.Sleep(100 * time.Millisecond)
		m.End()
	}, heal: func() {}})
	owner := c.Owner(outageKey)
	o.suffer(fault{name: "primary: out of memory", fail: func() { owner.Do("CONFIG", "SET", "maxmemory", "1") }, heal: func() { owner.Do("CONFIG", "SET", "maxmemory", "0") }})
	for _, f := range []fault{{name: "primary: kill -9", fail: owner.Kill}, {name: "primary: SIGSTOP"}} {
		old := c.Owner(outageKey)
		if f.fail == nil {
			f.fail = old.Pause
		}
		f.brief, f.heal = true, func() { waitHeir(t, c, old) }
		o.suffer(f)
		if f.name == "primary: kill -9" {
			old.Start()
		}
	}
	o.show()
}

// waitHeir waits until another node has the place of one that is gone.
func waitHeir(t *testing.T, c *redistest.Cluster, gone *redistest.Server) {
	t.Helper()
	eventually(t, "another node has its place", func() bool {
		for _, s := range c.Nodes() {
			if s != gone && strings.HasPrefix(s.Do("GET", outageKey)[0], "$") {
				return true
			}
		}
		return false
	})
}

// Without a store that is required, the gateway ends with one line; see also
// TestStoreIsMissing. Without one that is not, it counts alone, and finds it soon after it
// has come.
func TestLimitsStoreComesLater(t *testing.T) {
	t.Parallel()
	server := redistest.Reserve(t)
	config := write(t, "yett.yaml", outageConfig+fmt.Sprintf("{host: 127.0.0.1, port: %d, timeout: 250ms}\n", server.Port))
	env := []string{"APP=" + startApp(t).URL}
	code, stdout, stderr := yett(t, env, "run", "-c", config)
	if code != 1 || stdout != "" || strings.Contains(stderr, "\n") || !strings.HasPrefix(stderr, "yett: the store at "+server.Address+" can't be used: ") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	g, client := run(t, config, append(env, "REQUIRED=false")...), newClient(t)
	if g.addr == server.Address {
		t.Skip("the gateway has got the port that was to be the store's")
	}
	if h := g.limits(client); h.State != "alone" || h.Nodes != 1 {
		t.Errorf("at the start: %+v", h)
	}
	load := startCallers(t)
	for _, path := range outagePaths {
		load.call(0, g, path, 1, 2*outageRate, nil)
	}
	time.Sleep(2 * outageWindow)
	alone := load.since(time.Time{})
	of := func(all []shot, path string) []shot { return which(all, func(s *shot) bool { return s.path == path }) }
	if n := most(of(alone, "/local"), outageWindow); n > outageLimit || n < outageLimit/2 {
		t.Errorf("without the store %d passed in a window", n)
	}
	for path, status := range map[string]int{"/free": 200, "/open": 200, "/closed": 503} {
		if n := statuses(of(alone, path)); n[status] == 0 || len(n) != 1 {
			t.Errorf("without the store, %s answers %v", path, n)
		}
	}
	server.Start()
	took := g.waitLimits(client, "found", func(h limitsHealth) bool { return h.State == "shared" })
	if t.Logf("found after %v", took); took > 2*time.Second {
		t.Errorf("found after %v", took)
	}
	back := time.Now()
	time.Sleep(2 * outageWindow)
	later := load.since(back)
	if n := most(of(later, "/local"), outageWindow); n > outageLimit || n < outageLimit/2 {
		t.Errorf("with the store %d passed in a window", n)
	}
	if n := statuses(of(later, "/closed")); n[200] == 0 || len(n) != 1 {
		t.Errorf("with the store, /closed answers %v", n)
	}
	if g.said(saidAlone) != 1 || g.said(saidAgain) != 1 {
		t.Errorf("the log says\n%s", g.stderr)
	}
}
