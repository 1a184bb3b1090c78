package logread

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"yett/internal/telemetry/console"
	"yett/internal/telemetry/logfile"
)

// Filter says which lines are wanted. The zero value wants all.
type Filter struct {
	// Since and Until bound the time, both included; zero for no bound.
	Since, Until time.Time
	// Level, unless nil, is the least level.
	Level *slog.Level
	// Route and RequestID are those of lines of requests; empty for all lines.
	Route, RequestID string
	// Status is of lines of requests; none for all lines.
	Status []Status
}

// Status is a range of statuses, both ends included.
type Status struct{ From, To int }

// ParseStatus reads one like 404, 5xx or 400-404.
func ParseStatus(text string) (Status, error) {
	wrong := fmt.Errorf("%q is no status; write one like 404, a class like 5xx, or a range like 400-404", text)
	if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok {
		n, err := strconv.Atoi(class)
		if err != nil || n < 1 || n > 5 {
			return Status{}, wrong
		}
		return Status{n * 100, n*100 + 99}, nil
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || from < 0 || to > 999 || from > to {
		return Status{}, wrong
	}
	return Status{from, to}, nil
}

// content tells whether more than the time counts.
func (f *Filter) content() bool {
	return f.Level != nil || f.Route != "" || f.RequestID != "" || len(f.Status) > 0
}

// judge is a Filter at work on one log. Lines without a time, such as those of a stack, belong to the
// line before.
type judge struct {
	filter *Filter
	at     time.Time
	wanted bool
	fields [32]console.Field
}

func newJudge(f *Filter) judge {
	return judge{filter: f, wanted: !f.content() && f.Since.IsZero() && f.Until.IsZero()}
}

// wants tells whether a line is wanted, and of when it is.
func (j *judge) wants(line []byte) (time.Time, bool) {
	at, ok := logfile.TimeOf(line)
	if !ok {
		return j.at, j.wanted
	}
	j.at = at
	f := j.filter
	j.wanted = !at.Before(f.Since) && (f.Until.IsZero() || !at.After(f.Until))
	if j.wanted && f.content() {
		l, ok := console.Parse(line, j.fields[:0])
		j.wanted = ok && f.wants(l)
	}
	return at, j.wanted
}

func (f *Filter) wants(l console.Line) bool {
	return f.wantsLevel(l.Text("level")) &&
		(f.Route == "" || l.Text("route") == f.Route) &&
		(f.RequestID == "" || l.Text("request_id") == f.RequestID) &&
		(len(f.Status) == 0 || f.wantsStatus(l.Text("status")))
}

func (f *Filter) wantsLevel(text string) bool {
	var level slog.Level
	return f.Level == nil || level.UnmarshalText([]byte(text)) == nil && level >= *f.Level
}

func (f *Filter) wantsStatus(text string) bool {
	n, err := strconv.Atoi(text)
	if err != nil {
		return false
	}
	for _, s := range f.Status {
		if s.From <= n && n <= s.To {
			return true
		}
	}
	return false
}
