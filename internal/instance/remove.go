package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// made are the names of what instances make, by the directory within theirs. All else is somebody
// else's.
func made() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"":          regexp.MustCompile(`^(lock|state\.json|\.state\.json-\d+|(control|store|w\d+(-\d+)?)\.sock~?)$`),
		"logs":      regexp.MustCompile(`^[^.].*\.log(\.gz(\.tmp)?)?$`),
		"revisions": regexp.MustCompile(`^(\.lock|\.new-\d+|\d{8,}-[0-9a-f]+\.yaml)$`),
	}
}

// Foreign is what stands in a directory that others than the instance have put there.
type Foreign struct {
	Dir   string
	Names []string // within it; the first few
}

// Error says what stays, and why.
func (f *Foreign) Error() string {
	return fmt.Sprintf("%s stays, because there is something in it that no gateway has made: %s", f.Dir, strings.Join(f.Names, ", "))
}

// Remove deletes what the instance has left, and its directory. The caller holds the lock. What the
// instance has not made stays: the error is a *Foreign then.
func (d Dir) Remove() error {
	if info, err := os.Lstat(d.Path); err != nil {
		return err
	} else if !info.IsDir() || owner(info) != os.Geteuid() {
		return &Foreign{Dir: d.Path, Names: []string{"it is no directory of this user's"}}
	}
	foreign := &Foreign{Dir: d.Path}
	names := made()
	for _, sub := range []string{"logs", "revisions", ""} {
		dir := filepath.Join(d.Path, sub)
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue // it is seen as foreign from above, or gone
		}
		if err := foreign.clear(dir, names[sub]); err != nil {
			return err
		}
	}
	if len(foreign.Names) > 0 {
		return foreign
	}
	return nil
}

// clear deletes what has such a name, and the directory when nothing is left.
func (f *Foreign) clear(dir string, names *regexp.Regexp) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	left := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if kind := e.Type(); (kind.IsRegular() || kind == fs.ModeSocket) && names.MatchString(e.Name()) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		left++
		const most = 5
		if rel, err := filepath.Rel(f.Dir, path); err == nil && len(f.Names) < most && !f.holds(rel) {
			f.Names = append(f.Names, rel)
		}
	}
	if left > 0 {
		return nil
	}
	return os.Remove(dir)
}

// holds tells that something within a directory has been named.
func (f *Foreign) holds(dir string) bool {
	for _, name := range f.Names {
		if strings.HasPrefix(name, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
