package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"yett/internal/admin"
	"yett/internal/config"
)

// servicesText is the page for people: a row for each service, and one for each of its
// targets below.
func servicesText(page *admin.ServicesPage) string {
	if len(page.Services) == 0 {
		return "there are no services in its configuration\n"
	}
	now, err := time.Parse(time.RFC3339, page.Timestamp)
	if err != nil {
		now = time.Now() // of another clock, which is better than nothing
	}
	t := &servicesTable{now: now, columns: serviceColumns(page.Services)}
	for i := range page.Services {
		s := &page.Services[i]
		t.service(s)
		for j := range s.Targets {
			t.target(&s.Targets[j])
		}
	}
	return t.text() + mirrorsText(page.Mirrors)
}

// mirrorsText is a line for each route whose requests are copied.
func mirrorsText(mirrors []admin.MirrorPage) string {
	var b strings.Builder
	for _, m := range mirrors {
		fmt.Fprintf(&b, "copies of %s for %s: %d sent, %d of them failed, %d in flight; %d left out because too many were, %d can't be copied\n",
			printable(m.Route), printable(m.Service), m.Sent, m.Failed, m.InFlight, m.LeftOut, m.Unfit)
	}
	return b.String()
}

// serviceColumn is a number that services have, and targets don't.
type serviceColumn struct {
	title string
	value func(*admin.ServicePage) int64
	rare  bool
}

// serviceColumns leaves out what is rare, unless it is there.
func serviceColumns(services []admin.ServicePage) []serviceColumn {
	return slices.DeleteFunc([]serviceColumn{
		{"REQUESTS", func(s *admin.ServicePage) int64 { return s.Requests }, false},
		{"FAILED", func(s *admin.ServicePage) int64 { return s.Failures }, false},
		{"REFUSED", func(s *admin.ServicePage) int64 { return s.Refused }, true},
		{"FALLBACKS", func(s *admin.ServicePage) int64 { return s.Fallbacks }, true},
		{"HEDGES", func(s *admin.ServicePage) int64 { return s.Hedges }, true},
	}, func(c serviceColumn) bool {
		return c.rare && !slices.ContainsFunc(services, func(s admin.ServicePage) bool { return c.value(&s) != 0 })
	})
}

// servicesTable collects rows. now is the moment of the answer, by the gateway's clock.
type servicesTable struct {
	now     time.Time
	columns []serviceColumn
	rows    [][]string
}

// service adds the row of a service. Words stand below it, where narrow terminals show
// them too.
func (t *servicesTable) service(s *admin.ServicePage) {
	row := []string{s.Name, breakerState(s.Breaker), inFlight(s), latencyText(s.P50), latencyText(s.P99)}
	for _, c := range t.columns {
		row = append(row, strconv.FormatInt(c.value(s), 10))
	}
	t.rows = append(t.rows, append(row, fmt.Sprintf("%d (%d left)", s.Retries, s.BudgetLeft)))
	if words := t.breakerWords(s.Breaker); words != "" {
		t.rows = append(t.rows, []string{"", words})
	}
	if s.Panic {
		t.rows = append(t.rows, []string{"", "too few targets are well: all are used (panic)"})
	}
}

func (t *servicesTable) target(p *admin.TargetPage) {
	name := "  " + p.Name
	if p.Weight != 1 {
		name += fmt.Sprintf(" weight=%d", p.Weight)
	}
	t.rows = append(t.rows, []string{name, p.State, strconv.Itoa(p.InFlight), latencyText(p.P50), latencyText(p.P99), t.targetWords(p)})
}

func (t *servicesTable) text() string {
	head := []string{"SERVICE", "STATE", "IN FLIGHT", "P50", "P99"}
	for _, c := range t.columns {
		head = append(head, c.title)
	}
	return columns(append([][]string{append(head, "RETRIES")}, t.rows...))
}

// columns aligns rows. The last cell of a row may be as long as it likes: it moves no other
// row, as it would with a tabwriter.
func columns(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
			if i == len(row)-1 {
				break
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row[:len(row)-1] {
			line += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line+row[len(row)-1], " ") + "\n")
	}
	return b.String()
}

// breakerState is the word for how a breaker stands. Only what refuses requests is in
// capitals.
func breakerState(b *admin.BreakerPage) string {
	if b == nil {
		return "-"
	}
	word := strings.ReplaceAll(b.State, "_", " ")
	if b.Observes() || word == "CLOSED" {
		return strings.ToLower(word)
	}
	return word
}

// breakerWords says why and until when.
func (t *servicesTable) breakerWords(b *admin.BreakerPage) string {
	if b == nil {
		return ""
	}
	text := t.breakerStory(b)
	if b.Observes() {
		return strings.TrimSuffix("only observes; "+text, "; ")
	}
	return text
}

func (t *servicesTable) breakerStory(b *admin.BreakerPage) string {
	switch {
	case b.Held != "" && b.HeldUntil == "":
		return withCause("held "+b.Held+" until it is reset", b.Cause)
	case b.Held != "":
		return withCause("held "+b.Held+t.left(b.HeldUntil), b.Cause)
	case b.State == "OPEN":
		text := withCause("open"+t.since(b.Since), b.Cause)
		if b.NextAttempt == nil {
			return text
		}
		if wait := t.until(*b.NextAttempt); wait > 0 {
			return text + "; tried again in " + rounded(wait)
		}
		return text + "; the next request tries it"
	case b.State == "HALF_OPEN":
		return withCause("being tried"+t.since(b.Since), b.Cause) + fmt.Sprintf("; %d succeeded", b.Successes)
	}
	return inARow(b.Failures)
}

// targetWords says why a target is not used, and until when, and whether its name is in doubt.
func (t *servicesTable) targetWords(p *admin.TargetPage) string {
	words := t.targetStory(p)
	if words == "" || p.Note == "" {
		return words + p.Note
	}
	return words + "; " + p.Note
}

func (t *servicesTable) targetStory(p *admin.TargetPage) string {
	switch p.State {
	case "ejected":
		return withCause("ejected"+t.left(p.Until), p.Cause)
	case "down":
		text := withCause("down", p.Cause)
		if ago := -t.until(p.Checked); p.Checked != "" && ago >= 0 {
			text += "; checked " + rounded(ago) + " ago"
		}
		return text
	case "unknown":
		return p.Cause
	case "warming":
		return "gets a growing share since its return"
	case "draining":
		return "gets no more requests"
	}
	return inARow(p.Failures)
}

func withCause(what, cause string) string {
	if cause == "" {
		return what
	}
	return what + ": " + cause
}

func inARow(failures int) string {
	if failures == 0 {
		return ""
	}
	return count(failures, "failure") + " in a row"
}

// left says for how much longer, "" when it is over or not known.
func (t *servicesTable) left(stamp string) string {
	if wait := t.until(stamp); wait > 0 {
		return " for " + rounded(wait) + " more"
	}
	return ""
}

func (t *servicesTable) since(stamp string) string {
	if ago := -t.until(stamp); stamp != "" && ago > 0 {
		return " for " + rounded(ago)
	}
	return ""
}

// until is how long it is to a moment, 0 when that is no time.
func (t *servicesTable) until(stamp string) time.Duration {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return 0
	}
	return at.Sub(t.now)
}

// rounded shows as much of a duration as matters.
func rounded(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	return config.Duration(d.Round(unit)).String()
}

// inFlight says how many requests are there, how many could be, and how many want to.
func inFlight(s *admin.ServicePage) string {
	text := strconv.Itoa(s.InFlight)
	if s.Limit > 0 {
		text += fmt.Sprintf(" of %d", s.Limit)
	}
	if s.Waiting > 0 {
		text += fmt.Sprintf(", %d waiting", s.Waiting)
	}
	return text
}

// latencyText shows three digits of milliseconds, - when nobody knows.
func latencyText(ms *float64) string {
	if ms == nil {
		return "-"
	}
	d := time.Duration(*ms * float64(time.Millisecond))
	for unit := 100 * time.Second; unit > 10*time.Nanosecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// The colours of a terminal.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	normal = "\x1b[m"
)

// paintStates adds colours to the column STATE of a table, up to its end. It knows the place
// by the head, whose lines may be cut.
func paintStates(text string) string {
	lines := strings.Split(text, "\n")
	place := strings.Index(lines[0], "STATE")
	for i, l := range lines {
		if place < 0 || l == "" {
			break
		}
		if r := []rune(l); len(r) > place {
			from := string(r[place:])
			state, _, _ := strings.Cut(from, "  ")
			lines[i] = string(r[:place]) + paintState(state) + from[len(state):]
		}
	}
	return strings.Join(lines, "\n")
}

func paintState(state string) string {
	switch state {
	case "OPEN", "down", "ejected":
		return red + state + normal
	case "HALF OPEN", "warming", "draining", "unknown":
		return yellow + state + normal
	}
	return state
}
