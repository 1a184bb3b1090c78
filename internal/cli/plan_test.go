package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/history"
	"yett/internal/control/plan"
	"yett/internal/control/socket"
	"yett/internal/instance"
	"yett/internal/problem"
)

// stander is an instance that holds a configuration and serves nobody.
type stander struct {
	control.Cluster
	name, file string
	text       string
	revisions  *history.History
}

func (h *stander) Status(context.Context) (control.Status, error) {
	return control.Status{Name: h.name, PID: os.Getpid(), File: h.file, Revision: control.Revision{ID: history.ID([]byte(h.text)), Since: time.Now(), Cause: "start"}}, nil
}

func (h *stander) Revisions(context.Context) ([]control.Revision, error) {
	entries, err := h.revisions.List()
	list := []control.Revision{}
	for _, e := range entries {
		list = append(list, control.Revision{ID: e.ID, Since: e.Since, Cause: e.Cause, File: e.File, Current: e.ID == history.ID([]byte(h.text))})
	}
	return list, err
}

func (h *stander) Plan(_ context.Context, p control.Proposal) (control.Outcome, error) {
	_, o, err := h.weigh(p)
	return o, err
}

func (h *stander) Reload(_ context.Context, p control.Proposal) (control.Outcome, error) {
	text, o, err := h.weigh(p)
	if err != nil || isRefused(o) {
		return o, err
	}
	h.text, o.Applied = text, true
	o.Revision = control.Revision{ID: history.ID([]byte(text)), Current: true, Cause: p.Cause}
	return o, h.revisions.Add(history.Entry{ID: o.Revision.ID, Since: time.Now(), Cause: p.Cause, File: h.file}, []byte(text))
}

func (h *stander) weigh(p control.Proposal) (string, control.Outcome, error) {
	var o control.Outcome
	text, file := p.Text, p.File
	if p.Revision != "" {
		_, kept, err := h.revisions.Text(p.Revision)
		if err != nil {
			return "", o, err
		}
		text, file = string(kept), h.file
	} else if text == "" {
		data, err := os.ReadFile(h.file)
		if err != nil {
			return "", o, err
		}
		text, file = string(data), h.file
	}
	now, err := config.Parse(h.file, []byte(h.text), nil)
	if err != nil {
		return "", o, err
	}
	next, err := config.Parse(file, []byte(text), nil)
	if list, ok := errors.AsType[problem.List](err); ok {
		o.Problems = list
		return "", o, nil
	}
	o.Plan = plan.Compare(now, next)
	if len(o.Plan.NeedsProcess) > 0 {
		o.Refused = "the store can't change while it runs; use yett upgrade"
	}
	return text, o, nil
}

// hold runs a stander in a state directory of its own, which the environment names.
func hold(t *testing.T, name, file string) (*stander, env) {
	t.Helper()
	root, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	return holdIn(t, root, name, file), env{"YETT_STATE": root, "YETT_CONFIG": file}
}

func holdIn(t *testing.T, root, name, file string) *stander {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := instance.Make(root, name)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	revisions, err := history.Open(dir.Revisions(), 20)
	if err != nil {
		t.Fatal(err)
	}
	h := &stander{name: name, file: file, text: string(text), revisions: revisions}
	if err := revisions.Add(history.Entry{ID: history.ID(text), Since: time.Now(), Cause: "start", File: file}, text); err != nil {
		t.Fatal(err)
	}
	l, err := socket.Listen(dir.Control())
	if err != nil {
		t.Fatal(err)
	}
	s := socket.Serve(l, h)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), lock.Unlock()); err != nil {
			t.Error(err)
		}
	})
	return h
}

const first = `name: gate
listeners: [{address: "127.0.0.1:0"}]
services: {a: {targets: ["http://127.0.0.1:1"]}}
routes:
- {name: a, path: /a, auth: required, service: a}
- {name: b, path: /b, auth: none, service: a}
`

const second = `name: gate
listeners: [{address: "127.0.0.1:0"}]
services: {a: {targets: ["http://127.0.0.1:2"], timeouts: {response: 90s}}}
routes:
- {name: a, path: [/a, /aa], auth: none, service: a}
- {name: longer-name, path: /c, auth: none, service: a}
`

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

const difference = `~ service  a            gets new connections; its breaker and its counters begin anew
    targets            - http://127.0.0.1:1
    targets            + http://127.0.0.1:2
    timeouts.response  30s → 1m30s
~ route    a            WARNING: is public now
    path  /a → /a, /aa
    auth  required → none
+ route    longer-name  is public
    path     /c
    auth     none
    service  a
- route    b            streams that run live on

1 added, 2 changed, 1 removed; kept: 1 listener
`

func TestPlan(t *testing.T) {
	own := file(t, first)
	_, e := hold(t, "gate", own)
	if got := call(t, e, "plan"); got != (result{0, "nothing changes (kept: 1 listener, 2 routes, 1 service)\n", ""}) {
		t.Errorf("%+v", got)
	}
	other, bad := file(t, second), file(t, first+"- {name: c, path: /c}\n")
	stored := file(t, first+"store: {required: false, memory: {keys: 2000}}\n")
	for _, test := range []struct {
		args []string
		want result
	}{
		{[]string{other}, result{0, difference, ""}},
		{[]string{other, "gate"}, result{0, difference, ""}},
		{[]string{"gate", "--exit-code"}, result{0, "nothing changes (kept: 1 listener, 2 routes, 1 service)\n", ""}},
		{[]string{other, "--exit-code"}, result{2, difference, ""}},
		{[]string{bad, "--exit-code"}, result{1, "", bad + `:7:3: routes[2]: missing key "auth" (who may pass), write auth: none, optional or required` + "\n1 problem; nothing was changed\n"}},
		{[]string{stored}, result{1, "", `~ store    needs new processes: yett upgrade starts them, and drops nothing
    memory.keys  1000000 → 2000
    required     true → false

only new processes take store.memory.keys
refused: the store can't change while it runs; use yett upgrade; nothing was changed
`}},
		{[]string{other, "--against", own}, result{0, difference, ""}},
		{[]string{other, "--against", own, "--exit-code"}, result{2, difference, ""}},
		{[]string{other, "--against", other, "--exit-code"}, result{0, "nothing changes (kept: 1 listener, 2 routes, 1 service)\n", ""}},
		{[]string{own, "nobody"}, result{1, "", "yett: no gateway has run here as nobody; name one of gate; yett plan FILE --against OLD compares two files without a gateway\n"}},
	} {
		if got := call(t, e, append([]string{"plan"}, test.args...)...); got != test.want {
			t.Errorf("%q: got\n%d\n%s%s\nwant\n%d\n%s%s", test.args, got.code, got.stdout, got.stderr, test.want.code, test.want.stdout, test.want.stderr)
		}
	}
	got := call(t, e, "plan", other, "--json")
	var o control.Outcome
	if err := json.Unmarshal([]byte(got.stdout), &o); err != nil || got.code != 0 || len(o.Plan.Changes) != 4 || o.Applied {
		t.Errorf("%v %+v", err, got)
	}
	if got := call(t, e, "plan", bad, "--json"); got.code != 1 || !strings.Contains(got.stdout, `"problems"`) || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	write(t, own, second) // what was edited, and not taken yet
	if got := call(t, e, "plan"); got != (result{0, difference, ""}) {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "plan", "a.yaml", "x", "--against", "b"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "plan", bad, "--against", own); got.code != 1 || !strings.Contains(got.stderr, bad+":7:3") {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "plan", own, "--against", bad); got.code != 1 || !strings.Contains(got.stderr, "nothing was compared") {
		t.Errorf("%+v", got)
	}
}

func TestPaintPlan(t *testing.T) {
	got := paintPlan(difference)
	for _, want := range []string{yellow + "~" + normal + " service", red + "WARNING: is public now" + normal, green + "+" + normal + " route", red + "-" + normal + " route", "    targets            - http"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// TestNeighbour is which instance is meant where none is named.
func TestNeighbour(t *testing.T) {
	own := file(t, first)
	_, e := hold(t, "gate", own)
	elsewhere := env{"YETT_STATE": e["YETT_STATE"], "YETT_CONFIG": filepath.Join(t.TempDir(), "none.yaml")}
	if got := call(t, elsewhere, "plan"); got.code != 0 {
		t.Errorf("the only one: %+v", got)
	}
	other := file(t, strings.Replace(first, "name: gate", "name: other", 1))
	if got := call(t, env{"YETT_STATE": e["YETT_STATE"], "YETT_CONFIG": other}, "plan"); got.code != 1 || !strings.Contains(got.stderr, "no gateway has run here as other") {
		t.Errorf("of another configuration: %+v", got)
	}
	holdIn(t, e["YETT_STATE"], "other", other)
	if got := call(t, elsewhere, "plan"); got.code != 1 || !strings.Contains(got.stderr, "several gateways run here; name one of gate, other") {
		t.Errorf("several: %+v", got)
	}
	for _, words := range [][]string{{"plan", "other"}, {"plan", other, "other"}, {"plan", "other", other}} {
		if got := call(t, elsewhere, words...); got.code != 0 {
			t.Errorf("%q: %+v", words, got)
		}
	}
	if got := call(t, elsewhere, "reload", other); got.code != 1 || !strings.Contains(got.stderr, other+", which is a file: a gateway goes by its name") {
		t.Errorf("a file for a name: %+v", got)
	}
	empty := env{"YETT_STATE": t.TempDir(), "YETT_CONFIG": elsewhere["YETT_CONFIG"]}
	if got := call(t, empty, "rollback"); got.code != 1 || !strings.Contains(got.stderr, "nothing was changed: no gateway runs here") {
		t.Errorf("none: %+v", got)
	}
}

func revisionIDs(text string) (ids []string) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		ids = append(ids, strings.Fields(strings.TrimPrefix(line, "*"))[0])
	}
	return ids
}

func TestRevisions(t *testing.T) {
	own := file(t, first)
	h, e := hold(t, "gate", own)
	if _, err := h.Reload(t.Context(), control.Proposal{Text: second, Cause: "reload"}); err != nil {
		t.Fatal(err)
	}
	got := call(t, e, "revisions")
	lines := strings.Split(got.stdout, "\n")
	if got.code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[1], "*") || !strings.Contains(lines[1], "reload") || !strings.Contains(lines[2], "start") {
		t.Errorf("%+v", got)
	}
	ids := revisionIDs(got.stdout)
	if ids[0] != history.ID([]byte(second)) || ids[1] != history.ID([]byte(first)) {
		t.Errorf("%v", ids)
	}
	if got := call(t, e, "revisions", "show", ids[1][:4], "gate"); got != (result{0, first, ""}) {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "revisions", "show", "zzz"); got.code != 1 || !strings.Contains(got.stderr, `there is no such revision: "zzz"; see which ones are kept: yett revisions gate`) {
		t.Errorf("%+v", got)
	}
	var list []control.Revision
	if got := call(t, e, "revisions", "gate", "--json"); json.Unmarshal([]byte(got.stdout), &list) != nil || len(list) != 2 || !list[0].Current || list[1].Current {
		t.Errorf("%+v", got)
	}
	write(t, filepath.Join(e["YETT_STATE"], "gate", "revisions", "note.txt"), "x")
	if got := call(t, e, "revisions"); got.code != 0 || !strings.Contains(got.stderr, "note.txt is left out") {
		t.Errorf("%+v", got)
	}
}

func TestRollback(t *testing.T) {
	own := file(t, first)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	h, e := hold(t, "gate", link)
	write(t, own, second)
	if err := os.Chmod(own, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Reload(t.Context(), control.Proposal{Cause: "reload"}); err != nil {
		t.Fatal(err)
	}
	third := second + "# edited since, and never run\n"
	write(t, own, third)
	got := call(t, e, "rollback")
	if got.code != 0 || h.text != first || !strings.Contains(got.stdout, "revision "+history.ID([]byte(first))+" runs") ||
		!strings.Contains(got.stderr, "has that text again; what stood there is revision "+history.ID([]byte(third))) {
		t.Errorf("%+v", got)
	}
	if is, _ := os.ReadFile(own); string(is) != first {
		t.Errorf("the file is\n%s", is)
	}
	if info, err := os.Stat(own); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if got := call(t, e, "revisions"); !strings.Contains(got.stdout, "replaced") {
		t.Errorf("%+v", got)
	}
	// Back again is what ran before, and not what was only written.
	if got := call(t, e, "rollback", "--json"); got.code != 0 || h.text != second || !strings.Contains(got.stdout, `"applied": true`) {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "rollback", history.ID([]byte(first))[:5], "gate", "--running-only"); got.code != 0 || h.text != first ||
		!strings.Contains(got.stderr, "ONLY what runs has changed: "+link+" is as it was (--running-only)") {
		t.Errorf("%+v", got)
	}
	if is, _ := os.ReadFile(own); string(is) != second {
		t.Errorf("the file is\n%s", is)
	}
	// The words may stand in either order, and one that is a name is no revision.
	if got := call(t, e, "rollback", "gate"); got.code != 0 || h.text != second {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "rollback", "gate", history.ID([]byte(first))[:5]); got.code != 0 || h.text != first {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "revisions", "show", "gate", history.ID([]byte(first))); got.code != 0 || got.stdout != first {
		t.Errorf("%+v", got)
	}
	if got := call(t, e, "rollback", "0000"); got.code != 1 || strings.Contains(got.stderr, "refused") || !strings.Contains(got.stderr, "there is no such revision") {
		t.Errorf("%+v", got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(own), ".yett*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestRollbackVariables has a revision that differs by values alone.
func TestRollbackVariables(t *testing.T) {
	own := file(t, first)
	h, e := hold(t, "gate", own)
	if err := h.revisions.Add(history.Entry{ID: "cafe", Cause: "start"}, []byte(first)); err != nil {
		t.Fatal(err)
	}
	if got := call(t, e, "rollback"); got.code != 1 || !strings.Contains(got.stderr, "only values of variables were others") {
		t.Errorf("%+v", got)
	}
	if err := h.revisions.Add(history.Entry{ID: "beef", Cause: "start"}, []byte(second)); err != nil {
		t.Fatal(err)
	}
	if got := call(t, e, "rollback"); got.code != 0 || h.text != second {
		t.Errorf("%+v", got)
	}
}

// TestRollbackRefused has a revision that is good no longer.
func TestRollbackRefused(t *testing.T) {
	own := file(t, first)
	h, e := hold(t, "gate", own)
	const bad = "name: gate\nlisteners: []\n"
	if err := h.revisions.Add(history.Entry{ID: history.ID([]byte(bad)), Cause: "start"}, []byte(bad)); err != nil {
		t.Fatal(err)
	}
	got := call(t, e, "rollback", history.ID([]byte(bad)))
	if got.code != 1 || !strings.Contains(got.stderr, own+":2:") || !strings.Contains(got.stderr, "nothing was changed") || h.text != first {
		t.Errorf("%+v", got)
	}
	if is, _ := os.ReadFile(own); string(is) != first {
		t.Errorf("the file is\n%s", is)
	}
}

// TestRollbackUnwritable has the file in a place where nothing can be written, as that of a ConfigMap.
func TestRollbackUnwritable(t *testing.T) {
	own := file(t, first)
	h, e := hold(t, "gate", own)
	if _, err := h.Reload(t.Context(), control.Proposal{Text: second, Cause: "reload"}); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(filepath.Dir(own), "elsewhere")
	if err := os.Rename(own, gone); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(own, 0o700); err != nil { // neither a file nor to be replaced, for root either
		t.Fatal(err)
	}
	got := call(t, env{"YETT_STATE": e["YETT_STATE"]}, "rollback", "-", "gate")
	if got.code != 0 || h.text != first || !strings.Contains(got.stderr, "ONLY what runs has changed") {
		t.Errorf("%+v", got)
	}
}

func TestPutBack(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, []byte("old"), 0o604); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(name, 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(name)
	if err := putBack(name, []byte("new")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(name)
	if err != nil || after.Mode() != before.Mode() || owners(after) != owners(before) {
		t.Errorf("%v %v %v", before.Mode(), after.Mode(), err)
	}
	if os.SameFile(before, after) {
		t.Error("it was written in place")
	}
	if text, _ := os.ReadFile(name); string(text) != "new" {
		t.Errorf("%q", text)
	}
	if err := putBack(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// owners are the user and the group that a file belongs to.
func owners(info os.FileInfo) [2]uint32 {
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}
