package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed templates/*.tmpl
var templates embed.FS

// readyTime is how long a subject may take from its start to its first right
// answer.
const readyTime = 10 * time.Second

// kind is a program that can be measured.
type kind struct {
	name    string
	config  string // file name of the configuration, "" for none; its template adds ".tmpl"
	noH2    bool   // it can't speak HTTP/2 to clients
	args    func(config string, set settings) []string
	env     func(home string) []string // further variables, nil for none
	version []string
	install string // package that holds it, "" for none
	warm    int64  // requests until its code is compiled, where that happens while it runs
	// make gets the program ready below dir. Without it, the program is one that is
	// installed under the kind's name.
	make func(ctx context.Context, o options, dir string) (program, error)
}

// program is what is executed: a file, and arguments before those of the kind.
type program struct {
	path string
	args []string
}

func kinds() []kind {
	return []kind{
		{
			name:    "yett",
			config:  "yett.yaml",
			args:    func(config string, _ settings) []string { return []string{"run", "-c", config} },
			version: []string{"version"},
			make:    makeYett,
		},
		{
			name:   "nginx",
			config: "nginx.conf",
			args: func(config string, _ settings) []string {
				return []string{"-p", filepath.Dir(config), "-e", "stderr", "-c", config}
			},
			version: []string{"-v"},
			install: "nginx-light",
		},
		{
			name:    "haproxy",
			config:  "haproxy.cfg",
			args:    func(config string, _ settings) []string { return []string{"-db", "-f", config} },
			version: []string{"-v"},
			install: "haproxy",
		},
		caddyKind(),
		expressKind(),
		peerKind("reverseproxy"),
		peerKind("fasthttp"),
	}
}

// kindNames are the subjects that can be asked for.
func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// defaultSubjects are those that Yett's targets speak of.
func defaultSubjects() []string { return []string{"yett", "nginx", "haproxy", "caddy", "express"} }

// subject is a program to be measured. The same kind may occur twice, to see
// what the harness makes of a ratio that is 1.
type subject struct {
	kind
	program
	label string // name, with "#2" for a second one
}

// command runs the subject in the folder home.
func (s subject) command(ctx context.Context, home string, set settings) *exec.Cmd {
	args := s.kind.args(filepath.Join(home, s.config), set)
	cmd := exec.CommandContext(ctx, s.path, slices.Concat(s.program.args, args)...)
	cmd.Dir = home
	if s.env != nil {
		cmd.Env = append(os.Environ(), s.env(home)...)
	}
	return cmd
}

// settings is what configuration templates can use.
type settings struct {
	Port     int
	Upstream netip.AddrPort
	Redis    int    // port of the store, 0 for none
	MaxConns int    // connections that the subject must be able to hold
	Files    uint64 // open files that a process may have
	Root     bool
	TLS      *certificate // of the listener, which then speaks HTTP/1.1 and HTTP/2; nil for plain HTTP/1.1
	Conf     conf
}

// Upstreams is how many idle upstream connections are kept: as many as there can
// be, though a case with many idle clients has few.
func (s settings) Upstreams() int { return min(s.MaxConns, 2048) }

// WorkerConns is MaxConns for nginx, which counts upstream connections too and
// closes idle ones when fewer than a sixteenth of its slots are free.
func (s settings) WorkerConns() int {
	n := s.MaxConns + s.Upstreams()
	return n + n/15 + 1
}

// running is a started subject.
type running struct {
	*process
	subject subject
	addr    netip.AddrPort
	pids    []int
	want    answer
	traffic traffic
	output  string // file
	redis   bool   // has its store there
}

// start runs the subject with a configuration of its own below dir, in its
// place, and returns when it answers probe rightly.
func (s subject) start(ctx context.Context, at place, dir string, set settings, probe idleSpec) (*running, error) {
	home := filepath.Join(dir, s.label)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, fmt.Errorf("prepare folder of %s: %w", s.label, err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	set.Port = port
	if s.config != "" {
		if err := s.writeConfig(filepath.Join(home, s.config), set); err != nil {
			return nil, err
		}
	}
	output, err := os.Create(filepath.Join(home, "output.log"))
	if err != nil {
		return nil, fmt.Errorf("create log of %s: %w", s.label, err)
	}
	defer output.Close()
	cmd := s.command(ctx, home, set)
	cmd.Stdout, cmd.Stderr = output, output
	p, err := startProcess(at, cmd)
	if err != nil {
		return nil, err
	}
	r := &running{process: p, subject: s, addr: loopback(port), want: probe.Want, output: output.Name()}
	if err := r.prepare(ctx, probe); err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w\n%s", s.label, err, tail(output.Name()))
	}
	return r, nil
}

func (s subject) writeConfig(name string, set settings) error {
	t, err := template.New(s.config+".tmpl").
		Funcs(template.FuncMap{"indent": indent}).
		ParseFS(templates, "templates/"+s.config+".tmpl")
	if err != nil {
		return fmt.Errorf("parse configuration template of %s: %w", s.name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, set); err != nil {
		return fmt.Errorf("write configuration of %s: %w", s.name, err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write configuration of %s: %w", s.name, err)
	}
	for file, content := range set.Conf.Files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(name), file), []byte(content()), 0o644); err != nil {
			return fmt.Errorf("write %s of %s: %w", file, s.name, err)
		}
	}
	return nil
}

// prepare waits for the first right answer and notes the subject's processes.
func (r *running) prepare(ctx context.Context, probe idleSpec) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	probe.Address = r.addr
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(probe)
		if err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-r.done:
			return fmt.Errorf("it has ended: %w", r.err)
		case <-ctx.Done():
			return fmt.Errorf("no right answer: %w", err)
		}
	}
	if err := r.warmUp(probe); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	var err error
	r.pids, err = processTree(r.cmd.Process.Pid)
	return err
}

// warmUp has the program see as much load as it needs before it is itself.
func (r *running) warmUp(probe idleSpec) error {
	if r.subject.warm == 0 {
		return nil
	}
	l, err := newLoader(probe.Address, probe.traffic, probe.Want)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.connect(activeConns / l.streams()); err != nil {
		return err
	}
	for l.answered < r.subject.warm && l.failures == 0 {
		if err := l.run(sliceTime); err != nil {
			return err
		}
	}
	return l.failure
}

// checkGuard tries callers who have to be refused: with a token that nobody has
// signed, and with a role that is not enough.
func (b *bench) checkGuard(r *running, c benchCase, q request) error {
	if err := r.answers(b.probe(c, q.badToken()), 401); err != nil {
		return fmt.Errorf("token that nobody has signed: %w", err)
	}
	low := b.probe(c, q.lowRole())
	err := r.answers(low, 403)
	if err != nil && r.answers(low, 401) == nil {
		return nil // it trusts no tokens that are signed like this one
	}
	if err != nil {
		return fmt.Errorf("role that is not enough: %w", err)
	}
	return nil
}

// answers tells whether a request gets an answer with that status.
func (r *running) answers(t traffic, status int) error {
	return ask(idleSpec{traffic: t, Address: r.addr, Want: answer{Status: status, Body: anySize}})
}

// ask makes one request on a new connection.
func ask(probe idleSpec) error {
	l, err := newLoader(probe.Address, probe.traffic, probe.Want)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.openIdle(1); err != nil {
		return err
	}
	return l.failure
}

// describe returns the first line of the program's version text, with the
// subject's name where that doesn't have it.
func (s subject) describe() string {
	out, err := exec.Command(s.path, slices.Concat(s.program.args, s.version)...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	switch {
	case err != nil || line == "":
		return s.label + " (version unknown)"
	case !strings.Contains(strings.ToLower(line), s.name):
		return s.name + " " + line
	}
	return line
}

func freePort() (int, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("find free port: not a TCP address")
	}
	return addr.Port, nil
}

func loopback(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}

// indent puts n spaces before every line that is not empty.
func indent(n int, text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", n) + line
		}
	}
	return strings.Join(lines, "\n")
}

// tail returns the end of a file, for an error message.
func tail(name string) string {
	const most = 2000
	data, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-most):]))
}
