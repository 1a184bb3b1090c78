package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"yett/internal/control"
	"yett/internal/telemetry"
)

const (
	// monitWindow is how many intervals the latency and the routes are of: in one there may be
	// too few requests to say something.
	monitWindow = 10
	// monitPast is how many intervals the line of requests a second goes back.
	monitPast = 300
	// monitPatience is how long a gateway may take to answer.
	monitPatience = 5 * time.Second
)

// monitored is what a monitor asks.
type monitored interface {
	Status(ctx context.Context) (control.Status, error)
	Stats(ctx context.Context) (telemetry.Stats, error)
}

// monitor looks at a gateway again and again, and tells what has changed.
type monitor struct {
	from monitored
	now  func() time.Time
	seen []monitLook // the last ones, the newest last; of one gateway all of them
	past []float64   // requests a second, the newest last
	n    int         // how many there have been of these
}

// monitLook is what was seen at one moment.
type monitLook struct {
	at     time.Time
	status control.Status
	stats  telemetry.Stats
}

func newMonitor(from monitored) *monitor { return &monitor{from: from, now: time.Now} }

// sight is what one look has brought: a frame, or why there is none.
type sight struct {
	at    time.Time
	frame *monitFrame
	err   error
}

// watch looks every interval until ctx ends, and then closes the channel.
func (m *monitor) watch(ctx context.Context, interval time.Duration) <-chan sight {
	out := make(chan sight)
	go func() {
		defer close(out)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			s := sight{at: m.now()}
			s.frame, s.err = m.look(ctx)
			select {
			case out <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// look asks the gateway. The first frame, and the first of one that was started again, knows no
// rates.
func (m *monitor) look(ctx context.Context) (*monitFrame, error) {
	asked, cancel := context.WithTimeout(ctx, monitPatience)
	defer cancel()
	status, err := m.from.Status(asked)
	if err != nil {
		return nil, m.failed(asked, err)
	}
	stats, err := m.from.Stats(asked)
	if err != nil {
		return nil, m.failed(asked, err)
	}
	m.keep(monitLook{m.now(), status, stats})
	return m.frame(), nil
}

func (m *monitor) failed(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it has not answered for %v", monitPatience)
	}
	return err
}

// keep notes a look. What came before of another gateway, which had the name before, is of no
// use.
func (m *monitor) keep(l monitLook) {
	if n := len(m.seen); n > 0 && l.stats.Since.After(m.seen[n-1].stats.At) {
		m.seen = nil
	}
	m.seen = append(m.seen, l)
	if len(m.seen) > monitWindow+1 {
		m.seen = m.seen[1:]
	}
}

// monitFrame is what is shown of one moment. Rates are of the last interval, latency and routes
// of the last ten.
type monitFrame struct {
	At       time.Time `json:"at"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	State    string    `json:"state"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Env      string    `json:"env,omitempty"`
	Revision string    `json:"revision"`
	// Refused is the last configuration that was not taken.
	Refused *control.Refusal `json:"refused,omitempty"`
	Dropped uint64           `json:"log_lines_dropped"`

	Seconds  float64            `json:"seconds"` // of the interval
	Requests float64            `json:"requests_per_s"`
	Failed   float64            `json:"failed_per_s"`
	BytesIn  float64            `json:"bytes_in_per_s"`
	BytesOut float64            `json:"bytes_out_per_s"`
	Classes  map[string]float64 `json:"classes_per_s"`
	InFlight int                `json:"in_flight"`

	WindowSeconds float64                  `json:"window_seconds"`
	Latency       monitLatency             `json:"latency_ms"`
	Workers       []monitWorker            `json:"workers"`
	Routes        []monitRoute             `json:"routes"` // with requests, the busiest first
	Limits        []monitLimit             `json:"limits"`
	Breakers      []telemetry.BreakerStats `json:"breakers"` // that are not closed

	past  []float64
	first int // how many there were before past
}

// monitLatency is in milliseconds; null where there were no requests.
type monitLatency struct {
	P50  *float64 `json:"p50"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
	P999 *float64 `json:"p99.9"`
	Mean *float64 `json:"mean"`
}

type monitWorker struct {
	ID          int       `json:"id"` // 0 for the process of a gateway that has only one
	PID         int       `json:"pid"`
	State       string    `json:"state"`
	Why         string    `json:"why,omitempty"`
	CPU         float64   `json:"cpu_percent"` // of one processor
	Memory      int64     `json:"memory"`
	Started     time.Time `json:"started,omitzero"`
	Restarts    int       `json:"restarts"`
	Connections int       `json:"connections"`
	Revision    string    `json:"revision"`
}

type monitRoute struct {
	Name     string   `json:"name"`
	Requests float64  `json:"requests_per_s"`
	Failed   float64  `json:"failed_percent"`
	Mean     *float64 `json:"mean_ms"` // null where there were only tunnels
}

type monitLimit struct {
	Name     string  `json:"name"`
	Allowed  float64 `json:"allowed_per_s"`
	Refused  float64 `json:"refused_per_s"`
	Observed float64 `json:"observed_per_s"`
	Keys     int     `json:"keys"`
}

// frame makes the newest frame.
func (m *monitor) frame() *monitFrame {
	now := &m.seen[len(m.seen)-1]
	before, oldest := &m.seen[max(len(m.seen)-2, 0)], &m.seen[0]
	last, window := now.stats.Sub(before.stats), now.stats.Sub(oldest.stats)
	seconds, windowSeconds := now.at.Sub(before.at).Seconds(), now.at.Sub(oldest.at).Seconds()
	if len(m.seen) == 1 { // there is nothing to compare with
		last, window = now.stats.Sub(now.stats), now.stats.Sub(now.stats)
	}
	st := &now.status
	f := &monitFrame{
		At: now.at, Name: st.Name, Version: st.Version, State: st.State, PID: st.PID, Started: st.Started, Env: st.Env,
		Revision: st.Revision.ID, Refused: st.Refused, Dropped: st.Dropped,
		Seconds: seconds, Requests: per(last.Requests, seconds), Failed: per(last.Failed, seconds),
		BytesIn: per(last.BytesIn, seconds), BytesOut: per(last.BytesOut, seconds),
		Classes: classes(last.Classes, seconds), InFlight: now.stats.InFlight,
		WindowSeconds: windowSeconds, Latency: latencies(window.Latency),
		Workers: workers(now, before), Routes: busiest(window.Routes, windowSeconds),
		Limits: limitRates(last.Limits, seconds), Breakers: notClosed(now.stats.Breakers),
	}
	if len(m.seen) > 1 {
		m.past = append(m.past, f.Requests)
		m.n++
	}
	if len(m.past) > monitPast {
		m.past = slices.Clone(m.past[len(m.past)-monitPast:])
	}
	f.past, f.first = m.past, m.n-len(m.past)
	return f
}

// per is how many in a second.
func per[N uint64 | int64](n N, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

// classNames are the names of telemetry.Stats.Classes.
func classNames() []string { return []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} }

func classes(counts [6]uint64, seconds float64) map[string]float64 {
	out := make(map[string]float64, len(counts))
	for i, name := range classNames() {
		out[name] = per(counts[i], seconds)
	}
	return out
}

func latencies(l telemetry.Latencies) monitLatency {
	if l.Total() == 0 {
		return monitLatency{}
	}
	at := func(share float64) *float64 { return inMillis(l.Quantile(share)) }
	return monitLatency{P50: at(0.5), P95: at(0.95), P99: at(0.99), P999: at(0.999), Mean: inMillis(l.Mean())}
}

func inMillis(d time.Duration) *float64 {
	ms := float64(d) / float64(time.Millisecond)
	return &ms
}

// workers returns a row for each process that serves. Where a gateway is one, it is the only
// row.
func workers(now, before *monitLook) []monitWorker {
	st := &now.status
	all, old := st.Workers, before.status.Workers
	if len(all) == 0 {
		alone := func(s *control.Status) []control.Worker {
			return []control.Worker{{PID: s.PID, State: s.State, Started: s.Started, Revision: s.Revision.ID, Usage: s.Usage}}
		}
		all, old = alone(st), alone(&before.status)
	}
	rows := make([]monitWorker, len(all))
	for i, w := range all {
		rows[i] = monitWorker{
			ID: w.ID, PID: w.PID, State: w.State, Why: w.Why, Memory: w.Memory, Started: w.Started,
			Restarts: w.Restarts, Connections: w.Connections, Revision: w.Revision,
			CPU: cpuPercent(&w, old, now.at, before.at),
		}
	}
	return rows
}

// cpuPercent is how much of a processor a worker has used since it was seen before, or since its
// start when it was not.
func cpuPercent(w *control.Worker, old []control.Worker, now, before time.Time) float64 {
	if w.PID == 0 {
		return 0
	}
	used, since := w.CPU, w.Started
	i := slices.IndexFunc(old, func(o control.Worker) bool { return o.PID == w.PID && o.Started.Equal(w.Started) })
	if i >= 0 && before.Before(now) {
		used, since = w.CPU-old[i].CPU, before
	}
	return 100 * max(per(int64(used), float64(now.Sub(since))), 0)
}

// busiest returns the routes that had requests, those with most of them first.
func busiest(all []telemetry.RouteStats, seconds float64) []monitRoute {
	rows := []monitRoute{}
	for _, r := range all {
		if r.Requests == 0 {
			continue
		}
		row := monitRoute{Name: r.Name, Requests: per(r.Requests, seconds), Failed: 100 * float64(r.Failed) / float64(r.Requests)}
		if r.Requests > r.Tunnels {
			row.Mean = inMillis(r.Mean())
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b monitRoute) int { return cmp.Compare(b.Requests, a.Requests) })
	return rows
}

// limitRates returns the limits, those first that refuse most.
func limitRates(all []telemetry.LimitStats, seconds float64) []monitLimit {
	rows := []monitLimit{}
	for _, l := range all {
		rows = append(rows, monitLimit{l.Name, per(l.Allowed, seconds), per(l.Refused, seconds), per(l.Observed, seconds), l.Keys})
	}
	slices.SortStableFunc(rows, func(a, b monitLimit) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(b.Observed, a.Observed))
	})
	return rows
}

func notClosed(all []telemetry.BreakerStats) []telemetry.BreakerStats {
	rows := []telemetry.BreakerStats{}
	for _, b := range all {
		if b.State != "CLOSED" {
			rows = append(rows, b)
		}
	}
	return rows
}
