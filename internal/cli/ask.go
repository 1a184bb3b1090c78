package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/history"
	"yett/internal/control/socket"
	"yett/internal/instance"
)

// neighbour is an instance on this machine.
type neighbour struct {
	dir instance.Dir
	// ask is nil where nobody answers.
	ask control.Cluster
	// why says why nobody does.
	why error
}

// revisions is the history that the instance has left on this machine.
func (n neighbour) revisions() *history.History { return history.Read(n.dir.Revisions()) }

// neighbour finds the instance of that name; without one, the instance of the configuration here, and
// where there is none the only one that runs.
func (p Process) neighbour(name string) (neighbour, error) {
	root, err := instance.Root("", p.Env)
	if err != nil {
		return neighbour{}, err
	}
	known, err := instance.List(root)
	if err != nil {
		return neighbour{}, err
	}
	given := name != ""
	if !given {
		name = p.nameHere()
	}
	if name == "" {
		return only(root, known)
	}
	if instance.CheckName(name) != nil || !slices.Contains(known, name) {
		return neighbour{}, p.unknown(name, given, root, known)
	}
	return meet(root, name)
}

// unknown says that no gateway has that name, which was given or is that of the configuration here.
func (p Process) unknown(name string, given bool, root string, known []string) error {
	shown := printable(quote(name))
	switch info, err := os.Stat(name); {
	case !given:
		shown += ", the name in " + printable(p.fileHere())
	case err == nil && info.Mode().IsRegular():
		shown += ", which is a file: a gateway goes by its name, see yett status"
	}
	return fmt.Errorf("no gateway has run here as %s; %s", shown, among(root, known))
}

// knows tells whether an instance has that name.
func (p Process) knows(name string) bool {
	root, err := instance.Root("", p.Env)
	if err != nil {
		return false
	}
	known, _ := instance.List(root)
	return slices.Contains(known, name)
}

// fileHere is the configuration file that verbs mean without a flag.
func (p Process) fileHere() string {
	if file := p.getenv("YETT_CONFIG"); file != "" {
		return file
	}
	return "yett.yaml"
}

// nameHere is the name of the configuration that is named by YETT_CONFIG or lies here, also of one with
// mistakes in it; empty where there is none, or none that can be read.
func (p Process) nameHere() string {
	c, _ := config.Load(p.fileHere(), p.Env)
	if c == nil {
		return ""
	}
	return c.Name
}

// only is the one instance that runs.
func only(root string, known []string) (neighbour, error) {
	var running []neighbour
	for _, name := range known {
		if n, err := meet(root, name); err == nil && n.ask != nil {
			running = append(running, n)
		}
	}
	if len(running) == 1 {
		return running[0], nil
	}
	if len(running) == 0 {
		return neighbour{}, errors.New("no gateway runs here; " + among(root, known))
	}
	names := make([]string, len(running))
	for i, n := range running {
		names[i] = n.dir.Name()
	}
	return neighbour{}, errors.New("several gateways run here; " + among(root, names))
}

// among says which names there are.
func among(root string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("start one with yett start or yett run (looked in %s; YETT_STATE names another directory)", printable(root))
	}
	return "name one of " + strings.Join(known, ", ")
}

func meet(root, name string) (neighbour, error) {
	dir, err := instance.At(root, name)
	if err != nil {
		return neighbour{}, err
	}
	n := neighbour{dir: dir}
	c, err := socket.Dial(dir.Control())
	switch {
	case err == nil:
		n.ask = c
	case errors.Is(err, socket.ErrNobody):
		n.why = fmt.Errorf("the gateway %s does not run", name)
	default:
		n.why = err
	}
	return n, nil
}

// file is the configuration file of an instance, as a path that is right in this process.
func (n neighbour) file(ctx context.Context) (string, error) {
	s, err := n.ask.Status(ctx)
	if err != nil || s.File == "" || filepath.IsAbs(s.File) {
		return s.File, err
	}
	folder, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(s.PID), "cwd"))
	if err != nil {
		return "", fmt.Errorf("find the file %s of the gateway: %w", s.File, err)
	}
	return filepath.Join(folder, s.File), nil
}
