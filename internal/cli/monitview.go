package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"yett/internal/telemetry"
)

// monitView draws frames.
type monitView struct {
	width, height int // height 0 for as many lines as there are
	colours       bool
	interval      time.Duration // of the page that is drawn again and again; 0 for one that is not
	gone          string        // why the frame is an old one, "" for a new one
}

const (
	// roomyPage is the least height at which parts have an empty line between them.
	roomyPage = 20
	// shortPage is the height below which figures of one kind get one line, so that there is room for
	// workers and routes.
	shortPage = 16
	// widePage is the least width at which limits stand beside the routes.
	widePage = 110
)

// draw returns the lines of a frame.
func (v monitView) draw(f *monitFrame) []string {
	lines := v.head(f)
	lines = append(lines, v.rates(f)...)
	if v.height == 0 || v.height > len(lines)+1 {
		lines = append(lines, v.tables(f, len(lines))...)
	}
	if v.height > 0 && len(lines) > v.height {
		lines = lines[:v.height]
	}
	return v.render(lines)
}

func (v monitView) render(lines []line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.cut(v.width).text(v.colours)
	}
	return out
}

// flow writes items behind a label, in as many lines as they need and there is room for.
func (v monitView) flow(begin line, items []line) []line {
	lines := flow(begin, items, v.width)
	if v.short() {
		return lines[:1]
	}
	return lines
}

func (v monitView) short() bool { return v.height > 0 && v.height < shortPage }

// spaced returns an empty line where there is room for one.
func (v monitView) spaced() []line {
	if v.height > 0 && v.height < roomyPage {
		return nil
	}
	return []line{nil}
}

// head says which gateway it is, and what is wrong with it as a whole.
func (v monitView) head(f *monitFrame) []line {
	items := []line{{{f.Name, bold}}, {{f.State, stateColour(f.State)}}, {{f.Version, plain}}}
	if f.Env != "" {
		items = append(items, line{{f.Env, plain}})
	}
	items = append(items,
		line{{fmt.Sprintf("pid %d", f.PID), plain}},
		line{{"up " + age(f.At.Sub(f.Started)), plain}},
		line{{"rev " + f.Revision, plain}},
		line{{f.At.Format(time.TimeOnly), faint}})
	lines := v.flow(line{{"yett ", plain}}, items)
	if v.gone != "" {
		lines = append(lines, line{{v.gone, alarm}})
	}
	if f.Refused != nil {
		lines = append(lines, line{{refusedText(f), alarm}})
	}
	return append(lines, v.spaced()...)
}

// refusedText is the last change that was not taken.
func refusedText(f *monitFrame) string {
	r := f.Refused
	text := fmt.Sprintf("refused %s ago", age(f.At.Sub(r.At)))
	if r.Cause != "" {
		text += " (" + r.Cause + ")"
	}
	if len(r.Why) > 0 {
		text += ": " + r.Why[0]
	}
	if more := len(r.Why) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// label begins a line of figures.
func label(text string) line { return line{{fmt.Sprintf("%-10s", text), faint}} }

// rates are the figures of the gateway as a whole.
func (v monitView) rates(f *monitFrame) []line {
	lines := []line{v.requests(f)}
	lines = append(lines, v.flow(label("latency"), v.latencyItems(f))...)
	lines = append(lines, v.flow(label("status"), classItems(f))...)
	traffic := []line{{{"in " + size(f.BytesIn) + "/s", plain}}, {{"out " + size(f.BytesOut) + "/s", plain}}, {{fmt.Sprintf("in flight %d", f.InFlight), plain}}}
	if f.Dropped > 0 {
		traffic = append(traffic, line{{fmt.Sprintf("%d log lines dropped", f.Dropped), alarm}})
	}
	lines = append(lines, v.flow(label("traffic"), traffic)...)
	if items := breakerItems(f.Breakers); len(items) > 0 {
		lines = append(lines, v.flow(label("breakers"), items)...)
	}
	return lines
}

// requests is the rate, and how it went, as far as there is room.
func (v monitView) requests(f *monitFrame) line {
	l := append(label("requests"), span{fmt.Sprintf("%9s", rate(f.Requests)+"/s"), bold}, span{"  ", plain})
	if room := v.width - l.width(); room >= 10 {
		l = append(l, span{sparkline(f.past, f.first, room), good})
	}
	return l
}

// latencyItems are the percentiles; where only some may have room, those first that tell most.
func (v monitView) latencyItems(f *monitFrame) (items []line) {
	l := &f.Latency
	add := func(name string, ms *float64) {
		items = append(items, line{{name + " ", faint}, {fmt.Sprintf("%-7s", latencyText(ms)), plain}})
	}
	add("p50", l.P50)
	if !v.short() {
		add("p95", l.P95)
	}
	add("p99", l.P99)
	add("p99.9", l.P999)
	add("mean", l.Mean)
	return items
}

func classItems(f *monitFrame) (items []line) {
	for i, name := range []string{"2xx", "3xx", "4xx", "5xx", "1xx", "none"} {
		n := f.Classes[name]
		if i > 3 && n == 0 { // tunnels, and requests without a status, are rare
			continue
		}
		c := plain
		if n > 0 && name == "5xx" {
			c = alarm
		}
		items = append(items, line{{name + " ", faint}, {fmt.Sprintf("%-7s", rate(n)+"/s"), c}})
	}
	return items
}

func breakerItems(all []telemetry.BreakerStats) (items []line) {
	for _, b := range all {
		state := strings.ReplaceAll(b.State, "_", " ")
		items = append(items, line{{b.Service + " ", plain}, {state, stateColour(state)}})
	}
	return items
}

// tables are the lists, in what is left behind so many lines.
func (v monitView) tables(f *monitFrame, used int) []line {
	w, r, l := workerTable(f), routeTable(f), limitTable(f)
	parts := []part{{list: w, least: 4}, {list: r, least: 3}, {list: l, least: 1}}
	if len(l.rows) == 0 {
		parts = parts[:2]
	}
	beside := v.width >= widePage && len(parts) == 3
	if beside {
		parts[1].beside, parts = &l, parts[:2]
	}
	gap := len(v.spaced())
	room := math.MaxInt
	if v.height > 0 {
		room = v.height - used
		if v.interval > 0 && v.height >= roomyPage {
			room-- // for the foot
		}
	}
	share(parts, room, gap)
	var lines []line
	for _, p := range parts {
		if p.shown > 0 {
			lines = append(append(lines, v.spaced()...), p.draw(v.width)...)
		}
	}
	return append(lines, v.foot(used+len(lines))...)
}

// foot says what one may do, in the last line.
func (v monitView) foot(used int) []line {
	if v.interval == 0 || v.height < roomyPage {
		return nil
	}
	lines := make([]line, max(v.height-used-1, 0), v.height)
	return append(lines, line{{fmt.Sprintf("q quits · rates of %v, latency and routes of %v", v.interval, monitWindow*v.interval), faint}})
}

func workerTable(f *monitFrame) listing {
	t := listing{columns: []column{
		{title: "WORKER"}, {title: "PID", right: true, drop: 4}, {title: "STATE"}, {title: "CPU", right: true}, {title: "MEMORY", right: true},
		{title: "UPTIME", right: true, drop: 3}, {title: "RESTARTS", right: true, drop: 2}, {title: "CONNS", right: true, drop: 1},
		{title: "REVISION", drop: 6}, {cuts: true, drop: 5},
	}}
	for _, w := range f.Workers {
		id := "-"
		if w.ID > 0 {
			id = fmt.Sprint(w.ID)
		}
		restarts := plain
		if w.Restarts > 0 {
			restarts = warn
		}
		pid, cpu, memory, up := "-", "-", "-", "-"
		if w.PID > 0 {
			pid, cpu, memory = fmt.Sprint(w.PID), fmt.Sprintf("%.0f %%", w.CPU), size(float64(w.Memory))
			up = age(f.At.Sub(w.Started))
		}
		t.rows = append(t.rows, []span{
			{id, plain}, {pid, plain}, {w.State, stateColour(w.State)}, {cpu, plain}, {memory, plain},
			{up, plain}, {fmt.Sprint(w.Restarts), restarts}, {fmt.Sprint(w.Connections), plain}, {w.Revision, plain}, {w.Why, faint},
		})
	}
	return t
}

func routeTable(f *monitFrame) listing {
	t := listing{columns: []column{{title: "ROUTE", cuts: true}, {title: "REQ/S", right: true}, {title: "FAILED", right: true}, {title: "MEAN", right: true, drop: 1}}}
	for _, r := range f.Routes {
		failed := plain
		if r.Failed > 0 {
			failed = alarm
		}
		t.rows = append(t.rows, []span{{r.Name, plain}, {rate(r.Requests), plain}, {percent(r.Failed), failed}, {latencyText(r.Mean), plain}})
	}
	return t
}

func limitTable(f *monitFrame) listing {
	t := listing{columns: []column{{title: "LIMIT", cuts: true}, {title: "REFUSED/S", right: true}, {title: "ALLOWED/S", right: true, drop: 1}, {title: "KEYS", right: true, drop: 2}}}
	for _, l := range f.Limits {
		refused := plain
		if l.Refused > 0 {
			refused = warn
		}
		t.rows = append(t.rows, []span{{l.Name, plain}, {rate(l.Refused), refused}, {rate(l.Allowed), plain}, {fmt.Sprint(l.Keys), plain}})
	}
	return t
}

// stateColour is for words of workers and of breakers.
func stateColour(state string) style {
	switch state {
	case "ready":
		return good
	case "OPEN", "failing", "stopped":
		return alarm
	}
	return warn
}

// rate is a number with as many digits as matter.
func rate(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 0.1:
		return "<0.1"
	case n < 9.95:
		return fmt.Sprintf("%.1f", n)
	case n < 999_999.5:
		return grouped(int64(math.Round(n)))
	}
	return fmt.Sprintf("%.2fM", n/1e6)
}

// grouped writes a number up to a million with a comma at the thousands.
func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func percent(n float64) string {
	switch {
	case n == 0:
		return "0 %"
	case n < 0.1:
		return "<0.1 %"
	case n < 10:
		return fmt.Sprintf("%.1f %%", n)
	}
	return fmt.Sprintf("%.0f %%", n)
}

// size is a number of bytes.
func size(n float64) string {
	unit := 0
	for ; n >= 999.5 && unit < 4; unit++ {
		n /= 1000
	}
	if unit > 0 && n < 9.95 {
		return fmt.Sprintf("%.1f %s", n, []string{"B", "kB", "MB", "GB", "TB"}[unit])
	}
	return fmt.Sprintf("%.0f %s", n, []string{"B", "kB", "MB", "GB", "TB"}[unit])
}

// age is a time in its two largest units.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// sparkline draws values as columns that are at most as many as there is room for, the newest
// at the right. Several values are one column where there are too many: always the same
// ones, whatever was first, so that it moves to the left and does not flicker.
func sparkline(values []float64, first, room int) string {
	each := (len(values) + room - 1) / room
	if each == 0 {
		return ""
	}
	var sums, counts []float64
	for i, v := range values {
		if i == 0 || (first+i)%each == 0 {
			sums, counts = append(sums, 0), append(counts, 0)
		}
		sums[len(sums)-1] += v
		counts[len(counts)-1]++
	}
	if len(sums) > room { // the first one is only a part
		sums, counts = sums[1:], counts[1:]
	}
	most := 0.0
	for i := range sums {
		sums[i] /= counts[i]
		most = max(most, sums[i])
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range sums {
		i := 0
		if most > 0 {
			i = min(int(v/most*float64(len(bars))), len(bars)-1)
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}
