package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"yett/internal/config"
	"yett/internal/instance"
	"yett/internal/supervisor"
)

// cluster is what the flags of start say.
type cluster struct {
	file, name, env, workers, memory string
	foreground, detached, asJSON     bool
	readyTimeout                     time.Duration
}

func (p Process) startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Serve with several processes",
		Long: `Start serves with several workers on the same addresses, and a supervisor that starts
them again when they crash or use too much memory, and puts new ones in their place one
at a time. It returns when all are ready, or tells why they can't be.

The supervisor holds nothing that workers need to serve: when it dies they go on, and the
next yett start takes them over. Workers count limits and failures together.

With --foreground it doesn't go to the background, for systemd, containers and process
managers. Then SIGHUP reloads, SIGUSR1 opens the log files anew, SIGUSR2 upgrades, and
SIGTERM and SIGINT drain. Exit codes then: 0 all has finished, 1 it failed, 3 it has
drained, but some requests or tunnels took longer than they may, and were ended.`,
		Example: `  yett start
  yett start -i max -c /etc/yett/yett.yaml
  yett start --foreground --env development`,
		Args: fileIsFlag,
	}
	file := p.configFlag(cmd)
	var c cluster
	flags := cmd.Flags()
	flags.StringVarP(&c.workers, "instances", "i", "", `how many workers, or "max" for one for each processor (default 2, or as many as there were)`)
	flags.StringVar(&c.env, "env", "", "production or development; the configuration sees it as NODE_ENV (default $NODE_ENV, else production)")
	flags.StringVar(&c.name, "name", "", "what other verbs call this gateway (default the configuration's name)")
	flags.StringVar(&c.memory, "max-memory", "500MB", "what a worker may have of memory before another takes its place; 0 for any")
	flags.DurationVar(&c.readyTimeout, "ready-timeout", readyTimeout, "how long a worker may take to become ready")
	flags.BoolVar(&c.foreground, "foreground", false, "stay in the foreground")
	flags.BoolVar(&c.asJSON, "json", false, "print JSON")
	flags.BoolVar(&c.detached, "detached", false, "")
	_ = flags.MarkHidden("detached") // the flag is there
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.file = file()
		if err := c.check(p); err != nil {
			return misuse(cmd, err)
		}
		return p.start(cmd.Context(), c)
	}
	return cmd
}

// check completes what the flags say.
func (c *cluster) check(p Process) error {
	if _, err := c.count(); err != nil {
		return err
	}
	if _, err := c.maxMemory(); err != nil {
		return err
	}
	if c.env == "" {
		c.env = p.getenv("NODE_ENV")
	}
	if c.env == "" {
		c.env = "production"
	}
	if !slices.Contains([]string{"production", "development"}, c.env) {
		return fmt.Errorf("--env %s: want production or development", printable(quote(c.env)))
	}
	if c.readyTimeout <= 0 {
		return errors.New("--ready-timeout has to be more than 0s")
	}
	if c.name != "" {
		return instance.CheckName(c.name)
	}
	return nil
}

// count is how many workers there shall be, 0 for what is usual.
func (c *cluster) count() (int, error) {
	switch c.workers {
	case "":
		return 0, nil
	case "max":
		return runtime.GOMAXPROCS(0), nil // which knows of a container's limits
	}
	n, err := strconv.Atoi(c.workers)
	if err != nil || n < 1 || n > supervisor.MostWorkers {
		return 0, fmt.Errorf("-i %s: want a number from 1 to %d, or max", printable(quote(c.workers)), supervisor.MostWorkers)
	}
	return n, nil
}

func (c *cluster) maxMemory() (int64, error) {
	var size config.Size
	if err := size.UnmarshalText([]byte(c.memory)); err != nil {
		return 0, fmt.Errorf("--max-memory %s: %w", printable(quote(c.memory)), err)
	}
	const least = 32 * config.MB // less than what a process has that does nothing
	if size > 0 && size < least {
		return 0, fmt.Errorf("--max-memory %s: want at least %s, or 0 for any", printable(quote(c.memory)), least)
	}
	return int64(size), nil
}

// start finds out which instance it is, and runs it here or in the background.
func (p Process) start(ctx context.Context, c cluster) error {
	if p.Started.Path == "" {
		return errors.New("nothing was started: this process doesn't know the file of its program")
	}
	var err error
	if c.file, err = filepath.Abs(c.file); err != nil {
		return err
	}
	p.Env = config.Overlay(config.MapEnv(map[string]string{"NODE_ENV": c.env}), p.Env)
	conf, wrong := config.Load(c.file, p.Env)
	if c.name == "" && conf != nil {
		c.name = conf.Name
	}
	if c.name == "" {
		return explain(wrong, "nothing was started")
	}
	root, err := instance.Root("", p.Env)
	if err != nil {
		return err
	}
	before := p.knows(c.name)
	dir, err := instance.Make(root, c.name)
	if err != nil {
		return err
	}
	if c.foreground { // which tells whoever waits for it when another one runs
		return p.supervise(ctx, c, dir)
	}
	if by, held := dir.Holder(); held {
		return running(&instance.Held{By: by, Name: c.name})
	}
	err = p.background(ctx, c, dir)
	if said := (supervisorSaid{}); errors.As(err, &said) && !before {
		leaveNothing(dir) // or status would tell of a gateway that never was
	}
	return err
}

// supervisorSaid is why nothing was started.
type supervisorSaid struct{ error }

// leaveNothing removes the directory of an instance that did not start, unless somebody else has
// started it meanwhile.
func leaveNothing(dir instance.Dir) {
	if lock, err := dir.Lock(); err == nil {
		_ = dir.Remove()
		_ = lock.Unlock()
	}
}

// running says what to do instead of a second start.
func running(err error) error {
	held, ok := errors.AsType[*instance.Held](err)
	if !ok {
		return err
	}
	return fmt.Errorf("nothing was started: %w; see it with yett status %s, change it with yett reload, restart or scale, end it with yett stop, or give another one a name with --name", held, held.Name)
}

// background starts the supervisor as a process of its own session, and waits for what it says.
func (p Process) background(ctx context.Context, c cluster, dir instance.Dir) error {
	log, err := os.OpenFile(filepath.Join(dir.Logs(), "supervisor.log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer log.Close()
	ready, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer ready.Close()
	args := []string{p.Started.Path, "start", "--foreground", "--detached", "-c", c.file, "--name", c.name,
		"--env", c.env, "--max-memory", c.memory, "--ready-timeout", c.readyTimeout.String()}
	if c.workers != "" {
		args = append(args, "-i", c.workers)
	}
	cmd := &exec.Cmd{
		Path: p.Started.Path, Args: args, Stdout: log, Stderr: log, ExtraFiles: []*os.File{theirs},
		Env:         append(os.Environ(), "YETT_READY=3", "YETT_STATE="+filepath.Dir(dir.Path)),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	closeOnExec()
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	if err := awaitSupervisor(ctx, cmd, ready, log.Name()); err != nil {
		return err
	}
	n, err := p.neighbour(c.name)
	if err != nil {
		return err
	}
	return p.showStatus(ctx, []neighbour{n}, c.asJSON)
}

// closeOnExec keeps files that whoever has started this process has left open in it from what goes on in
// the background: a pipe whose other end waits for its end, or a lock. What this process opens itself
// is never passed on by chance.
func closeOnExec() {
	const first = 3
	// Where the kernel doesn't know it (before 5.11), they stay open.
	_ = unix.CloseRange(first, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
}

// awaitSupervisor waits until the supervisor has said that all serves, or why not. It has its own
// bounds. When the wait is given up, the start is too.
func awaitSupervisor(ctx context.Context, cmd *exec.Cmd, ready *os.File, log string) error {
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	line, err := bufio.NewReader(ready).ReadBytes('\n')
	if err != nil {
		err := cmd.Wait()
		return fmt.Errorf("nothing was started: the supervisor has ended (%v) and said nothing; see %s", err, log)
	}
	var said struct {
		Ready  bool
		Failed string
	}
	if err := json.Unmarshal(line, &said); err != nil {
		return fmt.Errorf("the supervisor said %.100q; see %s", line, log)
	}
	if !said.Ready {
		_ = cmd.Wait() // it is about to end
		return supervisorSaid{errors.New(said.Failed)}
	}
	return cmd.Process.Release()
}

// ask tells whether the answer on a terminal is yes.
func ask(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprintf(out, "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, fs.ErrClosed) {
		return false
	}
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line)))
}
