// Package history keeps the texts of configurations that ran, in a directory: one file for each, of
// which the first line is a comment with what is known about it and the rest is what was written.
// Values of variables are not in it, so that secrets which stand in the environment are nowhere kept.
//
// Several processes may use one directory.
package history

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Entry is a configuration that ran.
type Entry struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	Cause string    `json:"cause"`
	File  string    `json:"file"`
}

// History keeps the newest of the configurations that ran. The nil History keeps none.
type History struct {
	dir  string
	keep int
}

// Replaced is the cause of an entry that never ran: what somebody wrote, and a rollback has written over.
const Replaced = "replaced"

// ErrUnknown is what Text returns for a revision that isn't kept.
var ErrUnknown = errors.New("there is no such revision")

// ID returns a name for a text of which nothing else is known: a short hash of it.
func ID(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// Open makes the directory where it isn't there. keep is how many are kept; with 0 there is no
// history, and what an earlier one has left stays where it is.
func Open(dir string, keep int) (*History, error) {
	if keep <= 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of revisions: %w", err)
	}
	return &History{dir: dir, keep: keep}, nil
}

// Read returns the history in a directory for reading alone: Add must not be called. A directory that
// isn't there has none.
func Read(dir string) *History { return &History{dir: dir} }

// Add keeps a text as the newest. One that is kept already moves to the front; one that is at the
// front stays as it is. An error, such as that of a full disk, leaves what was kept before.
func (h *History) Add(e Entry, text []byte) error {
	if h == nil {
		return nil
	}
	if !goodID(e.ID) {
		return fmt.Errorf("keep a revision: %q can't be the name of one", e.ID)
	}
	unlock, err := h.lock()
	if err != nil {
		return fmt.Errorf("keep revision %s: %w", e.ID, err)
	}
	defer unlock()
	kept, err := h.files()
	if err != nil {
		return fmt.Errorf("keep revision %s: %w", e.ID, err)
	}
	if len(kept) > 0 && kept[0].id == e.ID && h.intact(kept[0], text) {
		return nil
	}
	next := 1
	if len(kept) > 0 {
		next = kept[0].number + 1
	}
	if err := h.write(fileName(next, e.ID), e, text); err != nil {
		return fmt.Errorf("keep revision %s: %w", e.ID, err)
	}
	h.prune(e.ID, kept)
	return nil
}

// intact tells whether a file holds that text.
func (h *History) intact(f file, text []byte) bool {
	_, kept, err := h.read(f)
	return err == nil && bytes.Equal(kept, text)
}

// prune removes older files of the revision that was added, and what is too much. A file that can't
// be removed is tried again the next time.
func (h *History) prune(added string, older []file) {
	left := 1
	for _, f := range older {
		if f.id != added && left < h.keep {
			left++
			continue
		}
		_ = os.Remove(filepath.Join(h.dir, f.name()))
	}
}

// List returns what is kept, the newest first. Files that are none of the history's or are damaged
// are left out; Notes tells of them.
func (h *History) List() ([]Entry, error) {
	entries, _, err := h.Notes()
	return entries, err
}

// Notes is List, with a line for each file that was left out.
func (h *History) Notes() (entries []Entry, notes []string, err error) {
	if h == nil {
		return nil, nil, nil
	}
	names, err := h.names()
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[string]bool)
	for _, name := range names {
		f, ok := parseName(name)
		if !ok {
			if !ours(name) {
				notes = append(notes, fmt.Sprintf("%s is left out: it is no revision", filepath.Join(h.dir, name)))
			}
			continue
		}
		e, _, err := h.read(f)
		switch {
		case errors.Is(err, fs.ErrNotExist): // another process has removed it since
		case err != nil:
			notes = append(notes, fmt.Sprintf("%s is left out: %v", filepath.Join(h.dir, name), err))
		case !seen[e.ID]:
			seen[e.ID] = true
			entries = append(entries, e)
		}
	}
	return entries, notes, nil
}

// Text returns what was written for a revision, by its ID or a beginning of it that no other
// has. The error is ErrUnknown where there is none.
func (h *History) Text(id string) (Entry, []byte, error) {
	if h == nil {
		return Entry{}, nil, fmt.Errorf("%w: %q", ErrUnknown, id)
	}
	files, err := h.files()
	if err != nil {
		return Entry{}, nil, err
	}
	var found []file
	for _, f := range files {
		if f.id == id {
			found = []file{f}
			break
		}
		if id != "" && strings.HasPrefix(f.id, id) && !slices.ContainsFunc(found, func(o file) bool { return o.id == f.id }) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 0:
		return Entry{}, nil, fmt.Errorf("%w: %q", ErrUnknown, id)
	case 1:
		e, text, err := h.read(found[0])
		if err != nil {
			return Entry{}, nil, fmt.Errorf("revision %s: %w", found[0].id, err)
		}
		return e, text, nil
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].id
	}
	return Entry{}, nil, fmt.Errorf("%q is the beginning of several revisions: %s", id, strings.Join(ids, ", "))
}

// Holds tells whether a text is kept, and as what; the newest counts.
func (h *History) Holds(text []byte) (Entry, bool) {
	if h == nil {
		return Entry{}, false
	}
	files, err := h.files()
	if err != nil {
		return Entry{}, false
	}
	for _, f := range files {
		if e, kept, err := h.read(f); err == nil && bytes.Equal(kept, text) {
			return e, true
		}
	}
	return Entry{}, false
}

// file is the name of one revision's file. The numbers give the order, whatever clocks do.
type file struct {
	number int
	id     string
}

func (f file) name() string { return fileName(f.number, f.id) }

func fileName(number int, id string) string { return fmt.Sprintf("%08d-%s.yaml", number, id) }

func parseName(name string) (f file, ok bool) {
	stem, isYAML := strings.CutSuffix(name, ".yaml")
	number, id, found := strings.Cut(stem, "-")
	if _, err := fmt.Sscanf(number, "%d", &f.number); err != nil || !isYAML || !found || !goodID(id) {
		return f, false
	}
	f.id = id
	return f, f.name() == name
}

// goodID wants letters and digits, because an ID is part of a file's name.
func goodID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
}

// files returns the revisions' files, the newest first.
func (h *History) files() (all []file, err error) {
	names, err := h.names()
	for _, name := range names {
		if f, ok := parseName(name); ok {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(b.number, a.number) })
	return all, err
}

// names returns what is in the directory, backward.
func (h *History) names() ([]string, error) {
	found, err := os.ReadDir(h.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for revisions: %w", err)
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[len(found)-1-i] = e.Name()
	}
	return names, nil
}

// The first line of a file is mark and a head as JSON.
const mark = "# yett revision "

// largest bounds what is read of a file. It is more than a configuration may have.
const largest = 4 << 20

// head is what is known about a text.
type head struct {
	Entry
	// Sum is the SHA-256 of the text, by which a damaged file shows.
	Sum string `json:"sha256"`
}

// read reads one file. Whoever has damaged it, its text is never taken for a configuration that ran.
func (h *History) read(f file) (Entry, []byte, error) {
	opened, err := os.Open(filepath.Join(h.dir, f.name()))
	if err != nil {
		return Entry{}, nil, err
	}
	defer opened.Close()
	all, err := io.ReadAll(io.LimitReader(opened, largest))
	if err != nil {
		return Entry{}, nil, err
	}
	first, text, _ := bytes.Cut(all, []byte("\n"))
	known, ok := bytes.CutPrefix(first, []byte(mark))
	var is head
	if !ok || json.Unmarshal(known, &is) != nil || is.ID != f.id {
		return Entry{}, nil, errors.New("it is damaged: its first line isn't as it was written")
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != is.Sum {
		return Entry{}, nil, errors.New("it is damaged: its text isn't as it was written")
	}
	return is.Entry, text, nil
}

// temporary is how names of files begin that are being written.
const temporary = ".new-"

// write writes a file whole or not at all. Only this user may read it.
func (h *History) write(name string, e Entry, text []byte) error {
	h.sweep()
	sum := sha256.Sum256(text)
	first, err := json.Marshal(head{Entry: e, Sum: hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(h.dir, temporary+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat([]byte(mark), first, []byte("\n"), text))
	if err == nil {
		err = f.Sync() // a power failure must not leave an empty file under the name
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(h.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// sweep removes what processes have left that were killed while they wrote. The caller has the lock.
func (h *History) sweep() {
	left, _ := filepath.Glob(filepath.Join(h.dir, temporary+"*"))
	for _, name := range left {
		_ = os.Remove(name)
	}
}

// ours tells whether a file that is no revision belongs to the history nonetheless.
func ours(name string) bool { return name == lockName || strings.HasPrefix(name, temporary) }
