package admin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"yett/internal/control"
	"yett/internal/exchange"
	"yett/internal/telemetry"
)

// Metered is what Metrics reports.
type Metered interface {
	// Gathered tells what this gateway has served, and how it is: each of its workers that
	// answers before ctx ends, or this process where there are none.
	Gathered(ctx context.Context) []Worker
	// Store tells how shared state is.
	Store() StoreState
	// Ready tells whether the gateway wants traffic.
	Ready() bool
}

// Worker is one process of a gateway.
type Worker struct {
	ID     string // "" where there is only one
	Stats  telemetry.Stats
	Status control.Status
}

// Metrics makes the page for Prometheus. Its series are bounded: their labels are names that
// stand in the configuration, and reasons, of which there is a closed list; nothing that a client
// sends becomes one.
type Metrics struct{ State Metered }

// gatherTime is how long other workers may take to tell what they have served.
const gatherTime = time.Second

// Serve implements snapshot.Endpoint. It answers in Prometheus' text format, version 0.0.4, which
// all of its versions and relatives read.
func (m *Metrics) Serve(x *exchange.Exchange) {
	ctx, cancel := context.WithTimeout(x.Context(), gatherTime)
	defer cancel()
	text, err := m.text(ctx)
	if err != nil {
		x.RefuseWith(exchange.Internal, err.Error())
		return
	}
	x.Status = http.StatusOK
	x.Response.Add("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	x.Response.Add("Cache-Control", "no-store")
	x.ResponseBody.SetBytes(text)
}

func (m *Metrics) text(ctx context.Context) ([]byte, error) {
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(picture(func(put func(prometheus.Metric)) {
		put(gauge("ready", "1 while the gateway wants traffic.").with(oneIf(m.State.Ready())))
		put(gauge("store_lost", "1 while the shared store can't be reached.", "store").with(oneIf(m.State.Store().Lost), m.State.Store().Name))
	})); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	for _, w := range m.State.Gathered(ctx) {
		if err := of(w, r).Register(picture(func(put func(prometheus.Metric)) {
			served(put, w.Stats)
			condition(put, w.Status)
		})); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	families, err := r.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return nil, fmt.Errorf("writing metrics: %w", err)
		}
	}
	return b.Bytes(), nil
}

// of tells workers apart by a label: each begins anew when it is started again, which who adds
// them up has to see.
func of(w Worker, r prometheus.Registerer) prometheus.Registerer {
	if w.ID == "" {
		return r
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"worker": w.ID}, r)
}

// picture is a collector of what is known at one moment.
type picture func(put func(prometheus.Metric))

// Describe implements prometheus.Collector: which series there are follows from the configuration.
func (picture) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p picture) Collect(to chan<- prometheus.Metric) { p(func(m prometheus.Metric) { to <- m }) }

// family is a name with its help and its labels.
type family struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("yett_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("yett_"+name, help, labels, nil), prometheus.GaugeValue}
}

func (f family) with(v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(f.Desc, f.kind, v, labels...)
}

// classes are the values of the label class.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// served puts what a gateway has served.
func served(put func(prometheus.Metric), s telemetry.Stats) {
	requests := counter("requests_total", "Requests, by the class of their status; none got no answer.", "class")
	for i, n := range s.Classes {
		put(requests.with(float64(n), classes[i]))
	}
	put(counter("requests_failed_total", "Requests with a status of 500 or above, or whose answer broke off.").with(float64(s.Failed)))
	put(counter("received_bytes_total", "Bytes of request bodies.").with(float64(s.BytesIn)))
	put(counter("sent_bytes_total", "Bytes of answers' bodies.").with(float64(s.BytesOut)))
	put(gauge("requests_in_flight", "Requests that are with a service, or wait for one.").with(float64(s.InFlight)))
	put(durations(s.Latency))
	routes(put, s.Routes)
	byReason(put, counter("refused_total", "Refused requests.", "reason"), s.Refused)
	byReason(put, counter("observed_total", "Requests that a policy in mode observe would have refused.", "reason"), s.Observed)
	limits := counter("limit_requests_total", "Requests that a limit has judged; observed would have been refused.", "limit", "outcome")
	for _, l := range s.Limits {
		put(limits.with(float64(l.Allowed), l.Name, "allowed"))
		put(limits.with(float64(l.Refused), l.Name, "refused"))
		put(limits.with(float64(l.Observed), l.Name, "observed"))
	}
	breakers := gauge("breaker_state", "1 for the state that the breaker of a service is in.", "service", "state")
	for _, b := range s.Breakers {
		for _, state := range [...]string{"CLOSED", "HALF_OPEN", "OPEN"} {
			put(breakers.with(oneIf(b.State == state), b.Service, state))
		}
	}
}

// durations has a bucket for each octave, which are sums of those that are counted, so that
// they are exact.
func durations(l telemetry.Latencies) prometheus.Metric {
	d := prometheus.NewDesc("yett_request_duration_seconds", "How long requests took, from their head to the end of the answer; without tunnels.", nil, nil)
	buckets := make(map[float64]uint64)
	sum, next := uint64(0), telemetry.Shortest
	for i := range telemetry.Buckets - 1 {
		if i < len(l.Counts) {
			sum += l.Counts[i]
		}
		if telemetry.Bound(i) == next {
			buckets[next.Seconds()] = sum
			next *= 2
		}
	}
	return prometheus.MustNewConstHistogram(d, l.Total(), time.Duration(l.Sum).Seconds(), buckets)
}

func routes(put func(prometheus.Metric), rows []telemetry.RouteStats) {
	requests := counter("route_requests_total", "Requests, by route; (none) are those for which there is none.", "route")
	failed := counter("route_requests_failed_total", "Requests with a status of 500 or above, or whose answer broke off, by route.", "route")
	seconds := counter("route_duration_seconds_total", "How long requests took together, without tunnels, by route.", "route")
	tunnels := counter("route_tunnels_total", "Tunnels, by route; they are requests too.", "route")
	for _, r := range rows {
		put(requests.with(float64(r.Requests), r.Name))
		put(failed.with(float64(r.Failed), r.Name))
		put(seconds.with(time.Duration(r.Sum).Seconds(), r.Name))
		put(tunnels.with(float64(r.Tunnels), r.Name))
	}
}

func byReason(put func(prometheus.Metric), f family, counts map[string]int64) {
	for reason, n := range counts {
		put(f.with(float64(n), reason))
	}
}

// condition puts how a process is.
func condition(put func(prometheus.Metric), s control.Status) {
	put(gauge("info", "Which version and configuration runs.", "version", "revision").with(1, s.Version, s.Revision.ID))
	put(gauge("start_time_seconds", "When the process was started, since 1970.").with(seconds(s.Started)))
	put(gauge("config_since_seconds", "When the configuration that runs was taken, since 1970.").with(seconds(s.Revision.Since)))
	put(gauge("config_refused", "1 when a change of the configuration was refused since then.").with(oneIf(s.Refused != nil)))
	put(gauge("connections", "Open connections of clients.").with(float64(s.Connections)))
	put(gauge("memory_bytes", "Resident memory.").with(float64(s.Memory)))
	put(counter("cpu_seconds_total", "Processor time.").with(s.CPU.Seconds()))
	put(counter("log_lines_dropped_total", "Log lines that never reached their file.").with(float64(s.Dropped)))
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
