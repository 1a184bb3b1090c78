package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
)

// TestNumbers holds the tests against what the platform's team has always run.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name, want string
	}{
		{"quick", "1000/s in 1s, 1000 visits of health; errors < 1 %, p95 < 200ms, p99 < 500ms"},
		{"basic", "5 to 10 to 5/s in 2m0s, 900 visits of platform; errors < 1 %, p95 < 200ms, p99 < 500ms"},
		{"spike", "10 to 100 to 10 to 80 to 5/s in 2m30s, 6150 visits of platform; errors < 5 %, p95 < 500ms, p99 < 2s"},
		{"stress", "20 to 200/s in 5m0s, 33000 visits of platform; errors < 10 %, p95 < 1s, p99 < 5s"},
		{"soak", "50/s in 1h0m0s, 180000 visits of platform; errors < 1 %, p95 < 200ms, p99 < 500ms"},
	} {
		got, err := find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != c.want {
			t.Errorf("%s is %q, want %q", c.name, got, c.want)
		}
	}
	for _, p := range mustFind(t, "spike").phases {
		if p.from != p.to || p.lasts != 30*time.Second {
			t.Errorf("a phase of spike is %+v, want one rate for 30 s", p)
		}
	}
	if _, err := find("spyke"); err == nil || !strings.Contains(err.Error(), "spike") {
		t.Errorf("an unknown test gives %v", err)
	}
}

func mustFind(t *testing.T, name string) test {
	t.Helper()
	found, err := find(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOptions adds up what k6 is told: it has to be as long, and send as much, as the test says.
func TestOptions(t *testing.T) {
	for _, each := range append(tests(), mustFind(t, "spike").scaled(7*time.Second, 33)) {
		t.Run(each.name, func(t *testing.T) {
			s := each.options().Scenarios[each.name]
			stages, rate := s.Stages, s.StartRate
			if s.Executor == "constant-arrival-rate" {
				stages, rate = []stage{{s.Rate, s.Duration}}, s.Rate
			}
			var lasts time.Duration
			visits := 0.0
			for _, stage := range stages {
				d, err := time.ParseDuration(stage.Duration)
				if err != nil {
					t.Fatal(err)
				}
				visits += float64(rate+stage.Target) / 2 * d.Minutes()
				lasts, rate = lasts+d, stage.Target
			}
			if lasts.Round(10*time.Millisecond) != each.lasts().Round(10*time.Millisecond) || math.Abs(visits-each.visits()) > 1 {
				t.Errorf("k6 sends %.1f visits in %v, want %.1f in %v", visits, lasts, each.visits(), each.lasts())
			}
			if float64(s.PreAllocatedVUs) < min(3*each.peak(), 600) {
				t.Errorf("%d users for %g visits a second", s.PreAllocatedVUs, each.peak())
			}
		})
	}
	spike := mustFind(t, "spike").options()
	want := map[string]string{"errors": "rate<0.05", "http_req_duration": "p(95)<500 p(99)<2000", "dropped_iterations": "count<1"}
	for metric, limit := range want {
		if got := strings.Join(spike.Thresholds[metric], " "); got != limit {
			t.Errorf("the threshold of %s is %q, want %q", metric, got, limit)
		}
	}
}

func TestScaled(t *testing.T) {
	got := mustFind(t, "spike").scaled(15*time.Second, 50).String()
	if want := "5 to 50 to 5 to 40 to 2.5/s in 15s, 308 visits of platform"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mustFind(t, "spike").phases[0]; got.lasts != 30*time.Second {
		t.Error("scaled has changed the test itself")
	}
}

// TestWithoutLimits compares the configuration with the example platform's: nothing else may differ.
func TestWithoutLimits(t *testing.T) {
	t.Chdir("..")
	data, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	changed := withoutLimits(string(data))
	before, after := strings.Split(string(data), "\n"), strings.Split(changed, "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines, want %d", len(after), len(before))
	}
	for i := range before {
		if before[i] != after[i] && after[i] != "    limit: "+unreachable {
			t.Errorf("line %d is %q, was %q", i+1, after[i], before[i])
		}
	}
	env := config.MapEnv(map[string]string{"JWT_SECRET": strings.Repeat("0123456789abcdef", 2)})
	c, err := config.Parse(exampleConfig, []byte(changed), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Limits) == 0 {
		t.Error("the configuration has no limits")
	}
	for _, l := range c.Limits {
		if strconv.FormatInt(l.Value.Limit, 10) != unreachable {
			t.Errorf("limit %s is %d", l.Name, l.Value.Limit)
		}
	}
}

func TestGrown(t *testing.T) {
	flat := func(n int) []usage {
		seen := make([]usage, n)
		for i := range seen {
			seen[i] = usage{memory: 30<<20 + int64(i%7)<<20, files: 40 + int64(i%5), threads: 9}
		}
		return seen
	}
	if err := grown(flat(200)); err != nil {
		t.Errorf("what is flat: %v", err)
	}
	if err := grown(flat(10)); err == nil {
		t.Error("10 looks tell nothing")
	}
	for what, leak := range map[string]func(*usage, int){
		"memory":      func(u *usage, i int) { u.memory += int64(i) << 17 },
		"descriptors": func(u *usage, i int) { u.files += int64(i) / 8 },
		"threads":     func(u *usage, i int) { u.threads += int64(i) / 20 },
	} {
		seen := flat(200)
		for i := range seen {
			leak(&seen[i], i)
		}
		if err := grown(seen); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s that leaks: %v", what, err)
		}
	}
}

// TestUse looks at this process, and at one that is not there.
func TestUse(t *testing.T) {
	u, err := use(os.Getpid())
	if err != nil {
		t.Skip("no /proc here:", err)
	}
	if u.memory < 1<<20 || u.files < 3 || u.threads < 1 {
		t.Errorf("this process is %+v", u)
	}
	if got := cpuTime("7 (a b) c) S 1 7 7 0 -1 4 1 0 0 0 25 17 0 0 20 0 1"); got != 420*time.Millisecond {
		t.Errorf("the time is %v", got)
	}
	if _, err := use(-1); err == nil {
		t.Error("there is no process -1")
	}
}

func TestRecordAndChart(t *testing.T) {
	moments, err := readRecord("testdata/record.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if len(moments) != 4 {
		t.Fatalf("%d moments, want the four in which something was sent", len(moments))
	}
	if m := moments[1]; m.at < 0.08 || m.at > 0.12 || m.rate < 900 || m.rate > 1100 || m.p50 <= 0 || m.p95 < m.p50 || m.p99 < m.p95 {
		t.Errorf("the second moment is %+v", m)
	}
	moments[2] = moment{at: moments[2].at, p50: math.NaN(), p95: math.NaN(), p99: math.NaN()} // nothing was asked
	path := filepath.Join(t.TempDir(), "chart.svg")
	if err := writeChart(path, result{test: mustFind(t, "quick")}, moments); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for err == nil {
		_, err = decoder.Token()
	}
	if err != io.EOF || bytes.Contains(data, []byte("NaN")) || bytes.Contains(data, []byte("Inf")) {
		t.Errorf("the chart is broken (%v):\n%s", err, data)
	}
	for _, bad := range []string{"{", `{"event":"snapshot","data":[[1]]}`} {
		if _, err := parseRecord(strings.NewReader(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// TestDemands has one figure after the other beyond what is allowed.
func TestDemands(t *testing.T) {
	const good = `{"root_group": {"checks": [{"name": "GET /health: 500", "fails": 3}]}, "metrics": {"errors": {"values": {"rate": 0.009}}, "http_reqs": {"values": {"count": 100, "rate": 10}},
		"dropped_iterations": {"values": {"count": 0}}, "iterations": {"values": {"count": 890}}, "http_req_duration": {"values": {"avg": 3, "p(50)": 2, "p(95)": 199, "p(99)": 499, "max": 900}}}}`
	for _, c := range []struct{ old, new, fails string }{
		{"", "", ""},
		{"0.009", "0.01", "errors"},
		{"199", "200", "p95"},
		{"499", "500", "p99"},
		{`"count": 0`, `"count": 1`, "not sent in time"},
		{"890", "850", "not sent in time"},
		{`"count": 100`, `"count": 0`, "p95"},
	} {
		r := result{test: mustFind(t, "basic")}
		if err := json.Unmarshal([]byte(strings.Replace(good, c.old, c.new, 1)), &r.summary); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err := r.print(&out)
		if (err != nil) != (c.fails != "") || !strings.Contains(out.String(), "3     GET /health: 500") {
			t.Errorf("%q: %v\n%s", c.new, err, &out)
		}
		if c.fails != "" && !strings.Contains(out.String(), "FAILED     "+c.fails+":") {
			t.Errorf("%q is not blamed on %s:\n%s", c.new, c.fails, &out)
		}
	}
}

// TestScript reads what k6 will run, as far as that can be done without it.
func TestScript(t *testing.T) {
	data, err := os.ReadFile("load.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range tests() {
		if !strings.Contains(string(data), "export function "+each.script+"(") {
			t.Errorf("%s sends %s, which the script has not", each.name, each.script)
		}
	}
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^  \[(\d+), '`).FindAllSubmatch(data, -1) {
		n, _ := strconv.Atoi(string(m[1]))
		sum += n
	}
	if sum != 100 {
		t.Errorf("the weights are %d in all, want 100, so that each is a share", sum)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the script's syntax is not checked")
	}
	cmd := exec.Command(node, "--input-type=module", "--check", "-")
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// needK6 moves to the repository's root, and skips where k6 was not built: that takes minutes.
func needK6(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short")
	}
	t.Chdir("..")
	path, err := k6Path()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("k6 is not built; `make load TEST=quick` builds it, in a few minutes, into %s", path)
	}
}

// TestPlatform runs all kinds of visits for three seconds against the real thing.
func TestPlatform(t *testing.T) {
	needK6(t)
	yett := filepath.Join(t.TempDir(), "yett")
	if out, err := exec.Command("go", "build", "-pgo=off", "-buildvcs=false", "-o", yett, "./cmd/yett").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, says strings.Builder
	reports := t.TempDir()
	err := mainWith(t.Context(), []string{"-yett", yett, "-reports", reports, "-duration", "3s", "-rate", "60", "spike"}, &out, &says)
	got := out.String()
	t.Logf("%s\n%s", &says, got)
	// On a machine that has no time, answers are late and some requests aren't sent. They are right all the same.
	if err != nil && !errors.Is(err, errFailed) || !strings.Contains(got, "errors: 0.00 %") {
		t.Errorf("%v", err)
	}
	if !regexp.MustCompile(`gateway +\d+ µs of CPU`).MatchString(got) {
		t.Error("nothing is said of the gateway")
	}
	for _, name := range []string{"spike.html", "spike.svg"} {
		if _, err := os.Stat(filepath.Join(reports, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestFails aims at gateways that are not good enough.
func TestFails(t *testing.T) {
	needK6(t)
	healthy := func(w http.ResponseWriter) { io.WriteString(w, `{"status":"healthy"}`) }
	for _, c := range []struct {
		name, fails string
		serve       http.HandlerFunc
	}{
		{"wrong status", "errors", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); healthy(w) }},
		{"wrong body", "errors", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"degraded"}`) }},
		{"slow", "p99", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(600 * time.Millisecond):
				healthy(w)
			case <-r.Context().Done():
			}
		}},
		{"stuck", "not sent in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.serve)
			defer server.Close()
			var out, says strings.Builder
			rate := "20"
			if c.name == "stuck" {
				rate = "400" // more within two seconds than there are users
			}
			err := mainWith(t.Context(), []string{"-url", server.URL, "-reports", t.TempDir(), "-duration", "2s", "-rate", rate, "quick"}, &out, &says)
			if !errors.Is(err, errFailed) || !strings.Contains(out.String(), "FAILED     "+c.fails+":") {
				t.Errorf("%v\n%s\n%s", err, &says, &out)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	var out strings.Builder
	if err := mainWith(t.Context(), nil, &out, io.Discard); err != nil || !strings.Contains(out.String(), "  soak ") {
		t.Errorf("without a test: %v\n%s", err, &out)
	}
	for _, args := range [][]string{{"spyke"}, {"-rate", "-1", "quick"}, {"quick", "basic"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
