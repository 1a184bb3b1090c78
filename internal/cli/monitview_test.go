package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yett/internal/control"
	"yett/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite the expected pages in testdata")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)

func number(n float64) *float64 { return &n }

// busyFrame is a gateway with everything to show.
func busyFrame() *monitFrame {
	f := &monitFrame{
		At: noon, Name: "api", Version: "v1.4.0", State: "ready", PID: 4242, Started: noon.Add(-75 * time.Hour), Env: "production",
		Revision: "3f2a91c", Dropped: 12,
		Refused: &control.Refusal{At: noon.Add(-200 * time.Second), Cause: "signal", Why: []string{
			`yett.yaml:12:14: routes[3].service: there is no service "orders"; did you mean "order"?`, "another", "a third"}},
		Seconds: 1, Requests: 1234.4, Failed: 3, BytesIn: 120_300, BytesOut: 4_567_000, InFlight: 17,
		Classes: map[string]float64{"none": 0.5, "1xx": 0, "2xx": 1200, "3xx": 3.25, "4xx": 28, "5xx": 3},
		Latency: monitLatency{P50: number(1.24), P95: number(6.5), P99: number(31), P999: number(1250), Mean: number(2.11)},
		Workers: []monitWorker{
			{ID: 1, PID: 4250, State: "ready", CPU: 61.7, Memory: 83_400_000, Started: noon.Add(-75 * time.Hour), Connections: 120, Revision: "3f2a91c"},
			{ID: 2, PID: 4251, State: "draining", CPU: 4.2, Memory: 91_000_000, Started: noon.Add(-90 * time.Second), Restarts: 3, Connections: 8, Revision: "3f2a91c", Why: "crashed: signal: killed"},
			{ID: 3, State: "failing", Restarts: 10, Why: "crashed 10 times in a row"},
		},
		Breakers: []telemetry.BreakerStats{{Service: "tickets", State: "OPEN"}, {Service: "users", State: "HALF_OPEN"}},
	}
	for i := range 14 {
		f.Routes = append(f.Routes, monitRoute{fmt.Sprintf("route-%d-of-the-platform", i+1), 600 / float64(i+1), float64(i%3) * 0.7, number(1.5 * float64(i+1))})
	}
	f.Routes[2].Mean = nil
	for i := range 5 {
		f.Limits = append(f.Limits, monitLimit{fmt.Sprintf("limit-%d", i), 100, float64(20 - 5*i), 0, 128 - i})
	}
	for i := range 200 {
		f.past = append(f.past, float64(i%40)*30)
	}
	return f
}

// exampleFrame is what the documentation shows.
func exampleFrame() *monitFrame {
	f := busyFrame()
	f.Refused, f.Dropped, f.Limits, f.Routes = nil, 0, nil, nil
	f.Workers = f.Workers[:2]
	f.Workers[1] = monitWorker{ID: 2, PID: 4251, State: "ready", CPU: 58.2, Memory: 91_000_000, Started: noon.Add(-2 * time.Hour), Restarts: 1, Connections: 117, Revision: "3f2a91c"}
	f.Breakers = f.Breakers[:1]
	for i, name := range []string{"tickets", "login", "health", "users"} {
		f.Routes = append(f.Routes, monitRoute{name, []float64{702, 310, 120, 102}[i], []float64{0.4, 0, 0, 0.05}[i], number([]float64{2.4, 3.1, 0.04, 1.8}[i])})
	}
	f.Limits = []monitLimit{{"login", 287, 23, 0, 41}, {"per_user", 804, 0, 0, 12}}
	return f
}

// The documentation shows a page as it is.
func TestMonitDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(monitView{width: 80, height: 24, interval: time.Second}.draw(exampleFrame()), "\n")
	if !strings.Contains(string(text), page) {
		t.Errorf("docs/monitoring.md does not show\n%s", page)
	}
}

// quietFrame is a gateway of one process, just started, that does nothing.
func quietFrame() *monitFrame {
	return &monitFrame{
		At: noon, Name: "yett", Version: "v1.4.0", State: "ready", PID: 77, Started: noon.Add(-5 * time.Second), Revision: "aa11bb2",
		Workers: []monitWorker{{PID: 77, State: "ready", CPU: 0.4, Memory: 21_000_000, Started: noon.Add(-5 * time.Second), Revision: "aa11bb2"}},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "monit", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestMonitView(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame *monitFrame
		view  monitView
	}{
		{"80x24", busyFrame(), monitView{width: 80, height: 24, interval: time.Second}},
		{"40x12", busyFrame(), monitView{width: 40, height: 12, interval: time.Second}},
		{"200x60", busyFrame(), monitView{width: 200, height: 60, interval: time.Second}},
		{"once", busyFrame(), monitView{width: 80}},
		{"colours", busyFrame(), monitView{width: 80, height: 24, interval: time.Second, colours: true}},
		{"quiet", quietFrame(), monitView{width: 80, height: 24, interval: time.Second}},
		{"gone", quietFrame(), monitView{width: 80, height: 24, interval: time.Second, gone: "gone since 12:00:00, waiting for it: no gateway answers there"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, tt.name, strings.Join(tt.view.draw(tt.frame), "\n")+"\n")
		})
	}
}

// However small or large a terminal is, no line is too long and there are not too many.
func TestMonitViewFits(t *testing.T) {
	for _, f := range []*monitFrame{busyFrame(), quietFrame()} {
		f.Name, f.Version = "東京-gateway", "v1\x1b[2J"
		for width := 1; width < 220; width += 1 + width/20 {
			for _, height := range []int{1, 2, 3, 5, 8, 12, 15, 16, 19, 20, 24, 40} {
				lines := monitView{width: width, height: height, interval: time.Second, gone: "gone"}.draw(f)
				if len(lines) > height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, l := range lines {
					if n := textWidth(l); n > width || strings.ContainsAny(l, "\x1b\n") {
						t.Fatalf("%dx%d: %d columns: %q", width, height, n, l)
					}
				}
			}
		}
	}
}

// Colours are all that they add.
func TestMonitColours(t *testing.T) {
	view := monitView{width: 100, height: 30, interval: time.Second}
	want := view.draw(busyFrame())
	view.colours = true
	for i, l := range view.draw(busyFrame()) {
		for _, s := range []style{faint, bold, good, warn, alarm} {
			l = strings.ReplaceAll(l, s.begin(), "")
		}
		if l = strings.TrimRight(strings.ReplaceAll(l, normal, ""), " "); l != want[i] {
			t.Errorf("got  %q\nwant %q", l, want[i])
		}
	}
}

func TestSparkline(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		first  int
		room   int
		want   string
	}{
		{nil, 0, 10, ""},
		{[]float64{0, 0}, 0, 10, "▁▁"},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7, 8}, 0, 10, "▁▂▃▄▅▆▇██"},
		{[]float64{0, 0, 4, 4, 8, 8}, 0, 3, "▁▅█"},
		{[]float64{0, 4, 4, 8, 8}, 1, 3, "▁▅█"},    // one is gone: the others stay together
		{[]float64{4, 4, 8, 8, 0}, 2, 3, "▅█▁"},    // and move when the next has come
		{[]float64{0, 4, 4, 8, 8, 8}, 1, 3, "▅██"}, // the first is only a part
	} {
		if got := sparkline(tt.values, tt.first, tt.room); got != tt.want {
			t.Errorf("%v from %d in %d: %s, want %s", tt.values, tt.first, tt.room, got, tt.want)
		} else if n := len([]rune(got)); n > tt.room {
			t.Errorf("%v: %d columns", tt.values, n)
		}
	}
}

func TestMonitNumbers(t *testing.T) {
	for _, tt := range [][2]string{
		{rate(0), "0"}, {rate(0.04), "<0.1"}, {rate(9.94), "9.9"}, {rate(9.96), "10"}, {rate(999.6), "1,000"}, {rate(123456), "123,456"}, {rate(1234567), "1.23M"},
		{percent(0), "0 %"}, {percent(0.01), "<0.1 %"}, {percent(1.25), "1.2 %"}, {percent(100), "100 %"},
		{size(0), "0 B"}, {size(999), "999 B"}, {size(1000), "1.0 kB"}, {size(83_400_000), "83 MB"}, {size(5e15), "5000 TB"},
		{age(-1), "0s"}, {age(59 * time.Second), "59s"}, {age(61 * time.Second), "1m01s"}, {age(90 * time.Minute), "1h30m"}, {age(75 * time.Hour), "3d03h"},
		{cutText("abc", 3), "abc"}, {cutText("abcd", 3), "ab…"}, {cutText("東京都", 4), "東…"}, {cutText("ab", 1), "…"}, {cutText("ab", 0), ""},
	} {
		if tt[0] != tt[1] {
			t.Errorf("got %q, want %q", tt[0], tt[1])
		}
	}
}
