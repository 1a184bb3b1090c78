package logread

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/telemetry/logfile"
)

const day = "2026-01-02T"

// line is one of a clock time, with more fields.
func line(at, more string) string {
	return `{"time":"` + day + at + `.000Z","level":"info","msg":"` + at + `"` + more + "}\n"
}

func put(t *testing.T, path string, lines ...string) {
	t.Helper()
	text := strings.Join(lines, "")
	if strings.HasSuffix(path, ".gz") {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, err := z.Write([]byte(text))
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// collect gathers lines, as what stands after "msg":" until the next quote.
type collect struct{ got []string }

func (c *collect) do(line []byte) error {
	_, rest, ok := strings.Cut(string(line), `"msg":"`)
	if !ok {
		rest = strings.TrimSpace(string(line))
	}
	msg, _, _ := strings.Cut(rest, `"`)
	c.got = append(c.got, msg)
	return nil
}

func (c *collect) String() string { return strings.Join(c.got, " ") }

func open(t *testing.T, f Filter, paths ...string) *Reader {
	t.Helper()
	r, err := Open(paths, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func clockTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, day+text+"Z")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// two makes two logs with old files, one of them compressed, and returns their paths.
func two(t *testing.T) (a, b string) {
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	put(t, filepath.Join(dir, "a-2026-01-02T01-10-00.000.log.gz"), line("01:00:00", ""), line("01:05:00", ""))
	put(t, filepath.Join(dir, "a-2026-01-02T01-20-00.000.log"), line("01:15:00", ""), "  a stack without a time\n", line("01:17:00", ""), "{torn")
	put(t, a, line("01:30:00", ""), line("01:40:00", ""), `{"time":"half`)
	put(t, filepath.Join(dir, "b-2026-01-02T01-06-00.000.log.gz"), line("01:01:00", ""))
	put(t, b, line("01:06:00", ""), line("01:35:00", ""))
	return a, b
}

const everything = "01:00:00 01:01:00 01:05:00 01:06:00 01:15:00 a stack without a time 01:17:00 {torn 01:30:00 01:35:00 01:40:00"

func TestAll(t *testing.T) {
	a, b := two(t)
	var c collect
	if err := open(t, Filter{}, a, b, filepath.Join(t.TempDir(), "none.log")).All(c.do); err != nil {
		t.Fatal(err)
	}
	if c.String() != everything {
		t.Errorf("got %s", &c)
	}
}

func TestLast(t *testing.T) {
	a, b := two(t)
	for n := range 15 {
		want := strings.Fields(strings.ReplaceAll(everything, "a stack without a time", "stack"))
		var c collect
		if err := open(t, Filter{}, a, b).Last(n, c.do); err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(strings.ReplaceAll(c.String(), "a stack without a time", "stack"))
		if !slices.Equal(got, want[max(0, len(want)-n):]) {
			t.Errorf("the last %d: %s", n, got)
		}
	}
}

func TestFilter(t *testing.T) {
	a, b := two(t)
	dir := filepath.Dir(a)
	put(t, filepath.Join(dir, "c.log"),
		line("02:00:00", `,"status":200,"route":"r","request_id":"1"`),
		line("02:01:00", `,"status":404,"route":"r","request_id":"2"`),
		`{"time":"`+day+`02:02:00.000Z","level":"error","msg":"02:02:00","status":502,"route":"s","request_id":"3"}`+"\n",
		"  stack of it\n",
		day+"02:03:00.000Z WARN  people read=this \"msg\":\"02:03:00\"\n",
		day+"02:04:00.000Z ERROR 503 GET / 1.000ms route=r request_id=4 \"msg\":\"02:04:00\"\n")
	warn, failed := slog.LevelWarn, slog.LevelError
	for _, tt := range []struct {
		filter Filter
		want   string
	}{
		{Filter{Since: clockTime(t, "01:17:00"), Until: clockTime(t, "01:35:00")}, `01:17:00 {torn 01:30:00 01:35:00`},
		{Filter{Until: clockTime(t, "01:00:59")}, "01:00:00"},
		{Filter{Level: &warn}, "02:02:00 stack of it 02:03:00 02:04:00"},
		{Filter{Level: &failed}, "02:02:00 stack of it 02:04:00"},
		{Filter{Route: "r"}, "02:00:00 02:01:00 02:04:00"},
		{Filter{RequestID: "2"}, "02:01:00"},
		{Filter{Status: []Status{{400, 499}, {502, 502}}}, "02:01:00 02:02:00 stack of it"},
	} {
		for name, read := range map[string]func(*Reader, func([]byte) error) error{
			"all":  (*Reader).All,
			"last": func(r *Reader, do func([]byte) error) error { return r.Last(100, do) },
		} {
			var c collect
			if err := read(open(t, tt.filter, a, b, filepath.Join(dir, "c.log")), c.do); err != nil {
				t.Fatal(err)
			}
			if c.String() != tt.want {
				t.Errorf("%s, %+v: %s", name, tt.filter, &c)
			}
		}
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]Status{"404": {404, 404}, "5xx": {500, 599}, "4XX": {400, 499}, "400-404": {400, 404}, "0": {0, 0}} {
		if got, err := ParseStatus(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "6xx", "xx", "404-400", "-1", "1000", "5x", "4-"} {
		if got, err := ParseStatus(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// What can't be read is an error, with its name.
// What can be read is shown, and then told what can't be.
func TestBrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	broken := filepath.Join(filepath.Dir(path), "a-2026-01-02T01-10-00.000.log.gz")
	if err := os.WriteFile(broken, []byte("not compressed"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, path, line("01:00:00", ""))
	put(t, filepath.Join(filepath.Dir(path), "a-2026-01-02T00-40-00.000.log.gz"), line("00:30:00", ""))
	for name, read := range map[string]func(*Reader, func([]byte) error) error{
		"all":  (*Reader).All,
		"last": func(r *Reader, do func([]byte) error) error { return r.Last(5, do) },
	} {
		var c collect
		r := open(t, Filter{}, path)
		if err := read(r, c.do); err != nil || c.String() != "00:30:00 01:00:00" {
			t.Errorf("%s: %s, %v", name, &c, err)
		}
		if err := r.Broken(); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Broken(); err != nil {
			t.Errorf("%s: told again: %v", name, err)
		}
	}
}

// A line without an end is shown once it has one; a file that appears, is emptied, or is moved by
// somebody else, is followed.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	r := open(t, Filter{}, path)
	step := func(want string) {
		t.Helper()
		var c collect
		ctx, end := context.WithCancel(t.Context())
		end()
		if err := r.Follow(ctx, time.Hour, c.do); err != nil {
			t.Fatal(err)
		}
		if c.String() != want {
			t.Errorf("came %q, want %q", &c, want)
		}
	}
	step("")
	put(t, path, line("01:00:00", ""), `{"time":"`+day+"01:01:00Z")
	step("01:00:00")
	put(t, path, `","msg":"whole"}`+"\n")
	step("whole")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	put(t, path, line("01:02:00", ""))
	step("01:02:00")
	put(t, path, line("01:03:00", ""))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	step("01:03:00")
	put(t, path, line("01:04:00", ""))
	step("01:04:00")
	// It was moved aside twice since, and compressed.
	put(t, path, line("01:05:00", ""))
	dir := filepath.Dir(path)
	if err := os.Rename(path, filepath.Join(dir, "a-2026-01-02T01-05-00.000.log")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "a-2026-01-02T01-06-00.000.log.gz"), line("01:06:00", ""))
	put(t, path, line("01:07:00", ""))
	step("01:05:00 01:06:00 01:07:00")
}

// While another writes, moves aside and compresses as fast as it can, each line is shown once, and in order.
func TestFollowRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w, err := logfile.Open(path, logfile.Options{Size: 10 << 10, Compress: true, OnError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 20_000
	written := make(chan error, 1)
	go func() {
		for i := 0; i < lines; i += 10 {
			var batch []byte
			for j := range 10 {
				batch = fmt.Appendf(batch, `{"time":"%s02:00:00.000Z","msg":"%d"}`+"\n", day, i+j)
			}
			if _, err := w.Write(batch); err != nil {
				written <- err
				return
			}
			if i%500 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		written <- nil
	}()
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	var c collect
	r := open(t, Filter{}, path)
	if err := r.Last(lines, c.do); err != nil {
		t.Fatal(err)
	}
	first := len(c.got)
	err = r.Follow(ctx, time.Millisecond, func(line []byte) error {
		_ = c.do(line)
		if c.got[len(c.got)-1] == fmt.Sprint(lines-1) {
			end()
		}
		return nil
	})
	if err := errors.Join(err, <-written, w.Close()); err != nil {
		t.Fatal(err)
	}
	for i, got := range c.got {
		if got != fmt.Sprint(i) {
			t.Fatalf("at %d of %d (%d at first): %s", i, len(c.got), first, got)
		}
	}
	if len(c.got) != lines {
		t.Errorf("%d of %d lines", len(c.got), lines)
	}
}
