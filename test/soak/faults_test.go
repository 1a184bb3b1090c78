//go:build linux

package soak

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"yett/internal/control"
)

// refused runs a verb that has to fail with exit code 1 and words about why.
func (g *gateway) refused(words string, args ...string) result {
	g.t.Helper()
	r := g.do(args...)
	if r.code != 1 || !strings.Contains(r.out+r.stderr, words) {
		g.t.Errorf("yett %s: want exit code 1 and %q: %s", strings.Join(args, " "), words, r)
	}
	g.t.Logf("yett %s: %s", strings.Join(args, " "), r)
	return r
}

// A program that can't serve never takes the place of one that does.
func TestBrokenPrograms(t *testing.T) {
	programs := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"ends at once", "#!/bin/sh\necho out of order >&2\nexit 1\n", 0o755},
		{"ends well", "#!/bin/sh\nexit 0\n", 0o755},
		{"hangs", "#!/bin/sh\nexec sleep 60\n", 0o755},
		{"isn't executable", "#!/bin/sh\nexit 0\n", 0o644},
		{"is no program", "nonsense", 0o755},
		{"is empty", "", 0o755},
	}
	for name, start := range map[string]func(*gateway){
		"one process": func(g *gateway) { g.run("--ready-timeout", "2s") },
		"cluster": func(g *gateway) {
			if r := g.doWith(g.program, "start", "-c", g.file, "--ready-timeout", "2s"); r.code != 0 {
				g.t.Fatal(r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			start(g)
			before := g.mustStatus()
			l := g.startLoad()
			for _, p := range programs {
				g.installText([]byte(p.text), p.mode)
				r := g.do("upgrade", "a")
				t.Logf("it %s: %s", p.name, r)
				if r.code != 1 || r.stderr == "" {
					t.Errorf("it %s: %s", p.name, r)
				}
				if now := g.mustStatus(); now.PID != before.PID || len(now.Workers) != len(before.Workers) || !slices.EqualFunc(now.Workers, before.Workers, func(a, b control.Worker) bool { return a.PID == b.PID }) {
					t.Errorf("it %s: it was %+v, and is %+v", p.name, before, now)
				}
			}
			if err := os.Remove(g.program); err != nil {
				t.Fatal(err)
			}
			g.refused("no such file", "upgrade", "a")
			l.none("after broken programs")
			g.install(binary)
			l.replaced.Store(true)
			g.must("upgrade", "a")
			l.done()
		})
	}
}

// What is in the state directory is of use, but nobody needs it to be served.
func TestLostFiles(t *testing.T) {
	for name, start := range map[string]func(*gateway){
		"one process": func(g *gateway) { g.run() },
		"cluster":     func(g *gateway) { g.start(2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("control socket", func(t *testing.T) {
				g := newGateway(t)
				start(g)
				l := g.startLoad()
				if err := os.Remove(filepath.Join(g.dir, "control.sock")); err != nil {
					t.Fatal(err)
				}
				g.refused("run by process", "start", "-c", g.file)
				g.eventually("the socket is made again", func() bool { return g.do("reload", "a").code == 0 })
				l.done()
				g.must("stop", "a")
			})
			t.Run("state directory", func(t *testing.T) {
				g := newGateway(t)
				start(g)
				l := g.startLoad()
				if err := os.RemoveAll(g.dir); err != nil {
					t.Fatal(err)
				}
				// It is refused, or takes the workers over, and the first one gives way.
				t.Logf("a second start: %s", g.do("start", "-c", g.file))
				g.write(odd)
				took := g.eventually("it can be asked again", func() bool { return g.do("reload", "a").code == 0 })
				t.Logf("it can be asked again after %v", took)
				g.want("/version", "odd")
				l.none("after the directory was removed")
				l.replaced.Store(true)
				g.must("upgrade", "a")
				l.done()
				g.eventually("it can be stopped", func() bool { return g.do("stop", "a").code == 0 })
				g.eventually("all have ended", func() bool { return len(g.processes()) == 0 })
			})
			t.Run("configuration", func(t *testing.T) {
				g := newGateway(t)
				start(g)
				l := g.startLoad()
				if err := os.Remove(g.file); err != nil {
					t.Fatal(err)
				}
				g.refused("yett.yaml", "reload", "a")
				g.refused("yett.yaml", "upgrade", "a")
				g.want("/version", "even")
				g.write(odd)
				if err := os.WriteFile(filepath.Join(g.root, ".env"), []byte("A=b\nnonsense\n'"), 0o600); err != nil {
					t.Fatal(err)
				}
				g.refused(".env:2:", "reload", "a")
				g.want("/version", "even")
				l.none("after lost files")
				if err := os.Remove(filepath.Join(g.root, ".env")); err != nil {
					t.Fatal(err)
				}
				g.must("reload", "a")
				g.want("/version", "odd")
				l.done()
			})
		})
	}
}

// Two starts at once, whoever is faster, make one cluster.
func TestTwoStarts(t *testing.T) {
	g := newGateway(t)
	var both sync.WaitGroup
	results := make([]result, 2)
	for i := range results {
		both.Go(func() { results[i] = g.do("start", "-c", g.file) })
	}
	both.Wait()
	t.Logf("%s\n%s", results[0], results[1])
	if results[0].code+results[1].code != 1 || !strings.Contains(results[0].stderr+results[1].stderr, "run by process") {
		t.Error("one has to be refused, and told why")
	}
	if len(g.workers()) != 2 {
		t.Errorf("%+v", g.mustStatus())
	}
	g.want("/version", "even")
}

// Orders that meet each other are done one after the other, or refused.
func TestOrdersAtOnce(t *testing.T) {
	g := newGateway(t).start(2)
	l := g.startLoad()
	l.replaced.Store(true)
	both := func(a, b []string) (ra, rb result) {
		var all sync.WaitGroup
		all.Go(func() { ra = g.do(a...) })
		all.Go(func() { time.Sleep(30 * time.Millisecond); rb = g.do(b...) })
		all.Wait()
		t.Logf("%v and %v: %s\n%s", a, b, ra, rb)
		return ra, rb
	}
	g.write(odd)
	up, re := both([]string{"upgrade", "a"}, []string{"reload", "a"})
	if up.code != 0 || re.code != 0 && !strings.Contains(re.stderr, "again") {
		t.Error("reload during an upgrade")
	}
	if re.code != 0 {
		g.eventually("reload", func() bool { return g.do("reload", "a").code == 0 })
	}
	g.want("/version", "odd")
	up, re = both([]string{"restart", "a"}, []string{"scale", "3", "a"})
	if up.code+re.code != 0 || len(g.workers()) != 3 {
		t.Errorf("%+v", g.mustStatus().Workers)
	}
	l.done()
	up, re = both([]string{"restart", "a"}, []string{"stop", "a"})
	if up.code != 1 || re.code != 0 {
		t.Error("stop during a restart")
	}
	if left := g.processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	g.start(2)
	supervisor := g.mustStatus().PID
	var rolled sync.WaitGroup
	rolled.Go(func() { t.Logf("restart, with SIGTERM: %s", g.do("restart", "a")) })
	time.Sleep(60 * time.Millisecond)
	if err := syscall.Kill(supervisor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rolled.Wait()
	g.eventually("all have ended", func() bool { return len(g.processes()) == 0 })
}

// A reload that one worker doesn't answer changes nothing in the end.
func TestReloadWithStoppedWorker(t *testing.T) {
	if !full {
		t.Skip("takes a minute: YETT_SOAK=1")
	}
	g := newGateway(t).start(2)
	pid := g.workers()[1]
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	g.write(odd)
	r := g.do("reload", "a")
	t.Logf("reload: %s", r)
	if r.code != 1 {
		t.Error("it was not refused")
	}
	g.want("/version", "even")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	for _, w := range g.mustStatus().Workers {
		t.Logf("%+v", w)
	}
	if !g.agree("even") {
		t.Error("the workers run different configurations")
	}
	g.must("restart", "a")
	if !g.agree("odd") {
		t.Error("restart has not brought all to one state")
	}
}

// Where nothing can be written, a single process serves, and a cluster says why it can't.
func TestUnwritableState(t *testing.T) {
	for name, root := range map[string]string{"no directory": "/proc/version/x", "read only": "/proc/sys/x"} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			out, err := os.Create(filepath.Join(g.root, "run.log"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd := exec.Command(g.program, "run", "-c", g.file)
			cmd.Env = append(slices.Clone(g.env), "YETT_STATE="+root)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			g.eventually("it serves", func() bool { _, body, _ := g.get("/version"); return body == "even" })
			g.write(odd)
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			g.eventually("it reloads", func() bool { _, body, _ := g.get("/version"); return body == "odd" })
			if text, _ := os.ReadFile(out.Name()); strings.Count(string(text), "no control socket") != 1 {
				t.Errorf("it has to say once that there is no control socket:\n%s", text)
			}
			g.env = append(g.env, "YETT_STATE="+root)
			g.refused("YETT_STATE", "start", "-c", g.file)
		})
	}
}

// On a full disk what runs goes on, takes configurations, and its workers are replaced.
func TestFullDisk(t *testing.T) {
	g := newGateway(t)
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", g.dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skip("a small disk can't be made here:", err)
	}
	t.Cleanup(func() {
		g.killAll()
		if err := syscall.Unmount(g.dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	g.start(2)
	l := g.startLoad()
	full := filepath.Join(g.dir, "full")
	if err := os.WriteFile(full, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	g.write(odd)
	g.must("reload", "a")
	g.want("/version", "odd")
	l.none("after a reload on a full disk")
	l.replaced.Store(true)
	t.Logf("restart: %s", g.do("restart", "a"))
	if err := syscall.Kill(g.busiest(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.eventually("both are ready again", func() bool { return len(g.workers()) == 2 })
	if !g.agree("odd") {
		t.Error("the new worker runs another configuration")
	}
	g.must("upgrade", "a")
	g.want("/version", "odd")
	l.end()
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	g.must("stop", "a")
}
