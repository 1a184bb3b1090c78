package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"time"
)

// moment is what happened in one period of a run.
type moment struct {
	at            float64 // seconds since the first
	rate          float64 // requests per second
	p50, p95, p99 float64 // ms, NaN where nothing was asked
}

// period is how long a moment is, so that there are enough for a chart, and not more than it can show.
func (t test) period() time.Duration {
	lasts := t.lasts()
	return max(min(time.Second, lasts/10), (lasts / 300).Round(time.Second)).Round(time.Millisecond)
}

// readRecord reads what k6's dashboard has recorded.
func readRecord(path string) ([]moment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	moments, err := parseRecord(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return moments, nil
}

// parseRecord reads a line for each event. A snapshot has, for each metric in the order of their names, a value
// for each aggregate of its type; which there are, earlier events tell.
func parseRecord(r io.Reader) ([]moment, error) {
	var d dashboard
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		if err := d.take(e.Event, e.Data); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.Event, err)
		}
	}
	return d.moments, lines.Err()
}

// dashboard is what the events have told so far.
type dashboard struct {
	aggregates map[string][]string // by type of metric
	types      map[string]string   // by metric
	moments    []moment
	began      float64 // ms since 1970
}

func (d *dashboard) take(event string, data json.RawMessage) error {
	switch event {
	case "param":
		var p struct{ Aggregates map[string][]string }
		err := json.Unmarshal(data, &p)
		d.aggregates = p.Aggregates
		return err
	case "metric":
		var metrics map[string]struct{ Type string }
		if err := json.Unmarshal(data, &metrics); err != nil {
			return err
		}
		if d.types == nil {
			d.types = map[string]string{}
		}
		for name, m := range metrics {
			d.types[name] = m.Type
		}
	case "snapshot":
		return d.snapshot(data)
	}
	return nil
}

func (d *dashboard) snapshot(data json.RawMessage) error {
	var values [][]float64
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(d.types))
	if len(values) != len(names) {
		return fmt.Errorf("%d metrics were announced, and there are %d", len(names), len(values))
	}
	value := func(metric, aggregate string) float64 {
		i := slices.Index(names, metric)
		j := slices.Index(d.aggregates[d.types[metric]], aggregate)
		if i < 0 || j < 0 || j >= len(values[i]) {
			return math.NaN()
		}
		return values[i][j]
	}
	rate, now := value("http_reqs", "rate"), value("time", "value")
	if math.IsNaN(rate) {
		return nil // nothing has begun
	}
	if d.began == 0 {
		d.began = now
	}
	m := moment{at: (now - d.began) / 1000, rate: rate, p50: math.NaN(), p95: math.NaN(), p99: math.NaN()}
	if m.rate > 0 {
		m.p50, m.p95, m.p99 = value("http_req_duration", "med"), value("http_req_duration", "p(95)"), value("http_req_duration", "p(99)")
	}
	d.moments = append(d.moments, m)
	return nil
}
