package admin

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"yett/internal/control"
	"yett/internal/telemetry"
)

// gatherer is a gateway that has served something.
type gatherer struct {
	workers []Worker
	store   StoreState
}

func (m gatherer) Gathered(context.Context) []Worker { return m.workers }
func (m gatherer) Store() StoreState                 { return m.store }
func (gatherer) Ready() bool                         { return true }

func TestMetrics(t *testing.T) {
	counts := make([]uint64, telemetry.Buckets)
	counts[0], counts[16], counts[17], counts[telemetry.Buckets-1] = 1, 2, 4, 8 // below 10 µs, below 20, above, beyond all
	x := serve(&Metrics{State: gatherer{
		workers: []Worker{{Stats: telemetry.Stats{
			Classes: [6]uint64{1, 2, 3, 4, 5, 6}, Failed: 6, BytesIn: 10, BytesOut: 20, InFlight: 2,
			Latency:  telemetry.Latencies{Counts: counts, Sum: uint64(3 * time.Second)},
			Routes:   []telemetry.RouteStats{{Name: `odd "name"\`, Requests: 3, Failed: 1, Tunnels: 1, Sum: uint64(time.Second)}, {Name: telemetry.NoRoute}},
			Refused:  map[string]int64{"no_token": 7},
			Observed: map[string]int64{"no_token": 8},
			Limits:   []telemetry.LimitStats{{Name: "user", Allowed: 1, Refused: 2, Observed: 3}},
			Breakers: []telemetry.BreakerStats{{Service: "crm", State: "OPEN"}},
		},
			Status: control.Status{
				Version: "v1", Started: time.Unix(100, 0), Revision: control.Revision{ID: "abc", Since: time.Unix(200, 5e8)},
				Refused: &control.Refusal{}, Dropped: 4, Usage: control.Usage{CPU: 1500 * time.Millisecond, Memory: 1 << 20, Connections: 9},
			}}},
		store: StoreState{Name: "redis", Lost: true},
	}}, "GET", "", "", nil)
	body, _ := x.ResponseBody.Whole()
	if x.Status != 200 || !strings.HasPrefix(x.Response.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s\n%s", x.Status, x.Response.Get("Content-Type"), body)
	}
	for _, want := range []string{
		`yett_requests_total{class="none"} 1`,
		`yett_requests_total{class="5xx"} 6`,
		`yett_requests_failed_total 6`,
		`yett_received_bytes_total 10`,
		`yett_sent_bytes_total 20`,
		`yett_requests_in_flight 2`,
		`yett_request_duration_seconds_bucket{le="1e-05"} 1`,
		`yett_request_duration_seconds_bucket{le="2e-05"} 3`,
		`yett_request_duration_seconds_bucket{le="4e-05"} 7`,
		`yett_request_duration_seconds_bucket{le="+Inf"} 15`,
		`yett_request_duration_seconds_sum 3`,
		`yett_request_duration_seconds_count 15`,
		`yett_route_requests_total{route="odd \"name\"\\"} 3`,
		`yett_route_requests_failed_total{route="odd \"name\"\\"} 1`,
		`yett_route_duration_seconds_total{route="odd \"name\"\\"} 1`,
		`yett_route_tunnels_total{route="odd \"name\"\\"} 1`,
		`yett_refused_total{reason="no_token"} 7`,
		`yett_observed_total{reason="no_token"} 8`,
		`yett_limit_requests_total{limit="user",outcome="refused"} 2`,
		`yett_breaker_state{service="crm",state="OPEN"} 1`,
		`yett_breaker_state{service="crm",state="CLOSED"} 0`,
		`yett_ready 1`,
		`yett_info{revision="abc",version="v1"} 1`,
		`yett_config_since_seconds 200.5`,
		`yett_config_refused 1`,
		`yett_store_lost{store="redis"} 1`,
		`yett_connections 9`,
		`yett_cpu_seconds_total 1.5`,
		`yett_log_lines_dropped_total 4`,
	} {
		if !bytes.Contains(body, []byte(want+"\n")) {
			t.Errorf("no line %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", body)
	}
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// Workers are told apart: what one has served begins anew when it is started again.
func TestMetricsOfWorkers(t *testing.T) {
	x := serve(&Metrics{State: gatherer{workers: []Worker{
		{ID: "1", Stats: telemetry.Stats{Failed: 3}}, {ID: "2", Stats: telemetry.Stats{Failed: 4}},
	}}}, "GET", "", "", nil)
	body, _ := x.ResponseBody.Whole()
	for _, want := range []string{`yett_requests_failed_total{worker="1"} 3`, `yett_requests_failed_total{worker="2"} 4`, `yett_ready 1`} {
		if !bytes.Contains(body, []byte(want+"\n")) {
			t.Errorf("no line %s in\n%s", want, body)
		}
	}
}
