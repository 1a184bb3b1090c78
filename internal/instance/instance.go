// Package instance is where a running gateway keeps what others on this machine find it by: a
// directory with its lock, its sockets, its history and its logs. It also tells processes apart
// from others that got their number later.
package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Dir is the state directory of one instance.
type Dir struct{ Path string }

// Root returns the directory that holds those of all instances of this user. explicit, such as of
// a flag, wins, then $YETT_STATE, $RUNTIME_DIRECTORY (systemd's), /var/lib/yett for root,
// $XDG_STATE_HOME/yett, ~/.local/state/yett. Where nobody chooses it is on disk: history and logs
// outlive a logout and a reboot.
func Root(explicit string, env func(string) (string, bool)) (string, error) {
	return rootFor(os.Geteuid(), explicit, env)
}

func rootFor(uid int, explicit string, env func(string) (string, bool)) (string, error) {
	get := func(key string) string { v, _ := env(key); return v }
	if explicit != "" {
		return filepath.Abs(explicit)
	}
	if state := get("YETT_STATE"); state != "" {
		return filepath.Abs(state)
	}
	// systemd writes all directories of a unit, with colons between them.
	if first, _, _ := strings.Cut(get("RUNTIME_DIRECTORY"), ":"); first != "" {
		return filepath.Abs(first)
	}
	if uid == 0 {
		return "/var/lib/yett", nil
	}
	if state := get("XDG_STATE_HOME"); filepath.IsAbs(state) { // others are to be ignored
		return filepath.Join(state, "yett"), nil
	}
	if home := get("HOME"); home != "" {
		return filepath.Abs(filepath.Join(home, ".local", "state", "yett"))
	}
	return "", errors.New("there is no place for the directory of running gateways: set YETT_STATE to one, or HOME")
}

// longestName is how long a name may be, in bytes. It is part of the path of sockets, for which
// the kernel has 107 bytes.
const longestName = 40

// CheckName tells whether an instance may have that name: letters, digits, dots, dashes and
// underscores, the first a letter or a digit.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the instance has no name; give it one with --name")
	case len(name) > longestName:
		return fmt.Errorf("the name %.20q... has %d bytes; at most %d are possible, because it is part of the path of a socket", name, len(name), longestName)
	case !isWord(name[0]) || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }):
		return fmt.Errorf("%q can't be the name of an instance: only letters, digits, dots, dashes and underscores can be in it, and a letter or a digit has to be first", name)
	}
	return nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isNameRune(r rune) bool {
	return r < 0x80 && (isWord(byte(r)) || r == '.' || r == '-' || r == '_')
}

// At returns the directory of an instance, whether it is there or not.
func At(root, name string) (Dir, error) {
	if err := CheckName(name); err != nil {
		return Dir{}, err
	}
	return Dir{Path: filepath.Join(root, name)}, nil
}

// Make returns the directory of an instance, and makes it where it isn't there. It belongs to
// this user, and nobody else may look into it.
func Make(root, name string) (Dir, error) {
	d, err := At(root, name)
	if err != nil {
		return d, err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return d, fmt.Errorf("make the directory of running gateways: %w; name another with YETT_STATE", err)
	}
	if err := checkRoot(root); err != nil {
		return d, err
	}
	if err := checkOurs(d.Path); err != nil {
		return d, err
	}
	for _, path := range []string{d.Path, d.Logs(), d.Revisions()} {
		if err := makeOwn(path); err != nil {
			return d, err
		}
	}
	return d, nil
}

// checkRoot refuses a directory in which others could put one of theirs in the place of ours.
func checkRoot(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("look at the directory of running gateways: %w", err)
	}
	uid := owner(info)
	if uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (%d), who could replace what is in it; name another with YETT_STATE", root, uid)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("others may write into %s (mode %#o) and could replace what is in it; take that away with chmod go-w, or name another directory with YETT_STATE", root, info.Mode().Perm())
	}
	return nil
}

// checkOurs refuses a directory that is there for something else, such as one of sources that lies
// in what YETT_STATE names.
func checkOurs(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 || exists(filepath.Join(path, lockName)) {
		return nil // makeOwn says more
	}
	names := made()
	for _, e := range entries {
		if _, ours := names[e.Name()]; !ours && !names[""].MatchString(e.Name()) { // else a removal was interrupted
			return fmt.Errorf("%s is there for something else (it has %q in it); choose another name with --name, or another directory with YETT_STATE", path, e.Name())
		}
	}
	return nil
}

// makeOwn makes a directory that is this user's alone.
func makeOwn(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the instance's directory: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at the instance's directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory; move it away, or choose another name", path)
	}
	if uid := owner(info); uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (%d); choose another name, or name another directory with YETT_STATE", path, uid)
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	return os.Chmod(path, 0o700)
}

func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// List returns the names of the instances that have a directory in root, in their order. A root
// that isn't there has none.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("look for instances: %w; be the user that they run as, or root", err)
	}
	if err != nil {
		return nil, fmt.Errorf("look for instances: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil && exists(filepath.Join(root, e.Name(), lockName)) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Name is what the instance is called.
func (d Dir) Name() string { return filepath.Base(d.Path) }

// Control is the socket where the instance is asked and changed.
func (d Dir) Control() string { return filepath.Join(d.Path, "control.sock") }

// Worker is the socket of one worker.
func (d Dir) Worker(id string) string { return filepath.Join(d.Path, "w"+id+".sock") }

// Store is the socket of the state that workers share.
func (d Dir) Store() string { return filepath.Join(d.Path, "store.sock") }

// Logs is the directory of log files.
func (d Dir) Logs() string { return filepath.Join(d.Path, "logs") }

// Revisions is the directory of the history.
func (d Dir) Revisions() string { return filepath.Join(d.Path, "revisions") }

// stateName is the file of SaveState.
const stateName = "state.json"

// SaveState keeps v as JSON, whole or not at all, for LoadState of another process.
func (d Dir) SaveState(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("save the instance's state: %w", err)
	}
	path := filepath.Join(d.Path, stateName)
	if err := writeAtomic(path, append(text, '\n')); err != nil {
		return fmt.Errorf("save the instance's state: %w", err)
	}
	return nil
}

// LoadState reads what SaveState has kept into v. The error is fs.ErrNotExist where nothing was.
func (d Dir) LoadState(v any) error {
	path := filepath.Join(d.Path, stateName)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the instance's state: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("read the instance's state: %s: %w", path, err)
	}
	return nil
}

// writeAtomic writes beside the file and renames. Only this user may read it.
func writeAtomic(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
