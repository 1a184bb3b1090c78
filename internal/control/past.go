package control

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"yett/internal/control/history"
)

// past is what ran: in a directory, or where there is none, in memory.
type past struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	files  *history.History // nil for none
	memory []kept           // the newest first
}

// kept is one text.
type kept struct {
	history.Entry
	text []byte
}

// add keeps what runs from now on, with keep of them in all.
func (p *past) add(r Revision, text []byte, keep int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := history.Entry{ID: r.ID, Since: r.Since, Cause: r.Cause, File: r.File}
	if p.dir != "" {
		err := p.write(e, text, keep)
		if err == nil && p.files != nil {
			return
		}
		if err != nil {
			p.log.Warn("a revision of the configuration is not kept in its directory", "revision", r.ID, "error", err)
		}
	}
	p.memory = slices.DeleteFunc(p.memory, func(k kept) bool { return k.ID == r.ID })
	p.memory = slices.Insert(p.memory, 0, kept{e, text})
	p.memory = p.memory[:min(len(p.memory), max(1, keep))]
}

func (p *past) write(e history.Entry, text []byte, keep int) (err error) {
	if p.files, err = history.Open(p.dir, keep); err != nil {
		return err
	}
	return p.files.Add(e, text)
}

// entries returns what is kept, the newest first, with a function that returns the text.
func (p *past) entries() (all []history.Entry, text func(id string) ([]byte, error), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	files, memory := p.files, slices.Clone(p.memory)
	if files == nil && p.dir != "" {
		files = history.Read(p.dir) // what others have left there
	}
	if files != nil {
		if all, err = files.List(); err != nil {
			return nil, nil, err
		}
	}
	for _, k := range memory {
		all = append(all, k.Entry)
	}
	slices.SortStableFunc(all, func(a, b history.Entry) int { return b.Since.Compare(a.Since) })
	text = func(id string) ([]byte, error) {
		for _, k := range memory {
			if k.ID == id {
				return k.text, nil
			}
		}
		_, data, err := files.Text(id)
		return data, err
	}
	return all, text, nil
}

func (p *past) list(current string) ([]Revision, error) {
	entries, _, err := p.entries()
	if err != nil {
		return nil, err
	}
	all := make([]Revision, 0, len(entries))
	for _, e := range entries {
		r := Revision{ID: e.ID, Since: e.Since, Cause: e.Cause, File: e.File}
		r.Current = e.ID == current
		all = append(all, r)
	}
	return all, nil
}

// find returns what ran under an ID, of which the beginning is enough if no other one has it.
// "-" is what ran before the current one.
func (p *past) find(id, current string) (history.Entry, []byte, error) {
	entries, text, err := p.entries()
	if err != nil {
		return history.Entry{}, nil, err
	}
	var found []history.Entry
	for _, e := range entries {
		if id == "-" && e.ID != current {
			found = append(found, e)
			break
		}
		if id != "-" && strings.HasPrefix(e.ID, id) && !slices.ContainsFunc(found, func(o history.Entry) bool { return o.ID == e.ID }) {
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 0 && id == "-":
		return history.Entry{}, nil, fmt.Errorf("no other revision is kept than the one that runs; reload.keep says how many are")
	case len(found) == 0:
		return history.Entry{}, nil, fmt.Errorf("there is no revision %s; %s", id, those(entries))
	case len(found) > 1:
		return history.Entry{}, nil, fmt.Errorf("%s is the beginning of several revisions: %s; write more of it", id, listed(ids(found)))
	}
	data, err := text(found[0].ID)
	return found[0], data, err
}

// those names what is kept.
func those(entries []history.Entry) string {
	if len(entries) == 0 {
		return "none is kept"
	}
	return "kept are " + listed(ids(entries))
}

func ids(entries []history.Entry) []string {
	var out []string
	for _, e := range entries {
		if !slices.Contains(out, e.ID) {
			out = append(out, e.ID)
		}
	}
	return out
}

// listed writes words one after the other, with and before the last.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
