package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

func rounds(cpuMicros ...int) []window {
	var out []window
	for _, cpu := range cpuMicros {
		out = append(out, window{
			Requests: 1000,
			Elapsed:  100 * time.Millisecond,
			CPU:      time.Duration(cpu) * time.Millisecond, // for 1000 requests
			P50:      time.Millisecond,
			P99:      2 * time.Millisecond,
		})
	}
	return out
}

func TestReport(t *testing.T) {
	c := benchCase{Name: "plain", Targets: []target{{"yett", "nginx", 1}, {"yett", "haproxy", 0.5}, {"yett", "envoy", 1}, {"haproxy", "nginx", 0.9}}}
	results := summarise(c.Name, []string{"yett", "nginx", "haproxy"},
		[][]window{rounds(18, 27, 18), rounds(20, 30, 24), rounds(20, 30, 20)})
	idle := []idleResult{{Subject: "yett", Conns: 10000, Before: 10 << 20, After: 40 << 20, PerConn: 3072}}
	r := &report{
		Subjects: []string{"yett 1"},
		Cases:    results,
		Idle:     idle,
		Targets:  append(judge(c, results), judgeIdle(idle), judgeIdle(nil)),
	}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `yett 1

case   subject  CPU µs/req  req/s  busy  p50/p99 µs  vs nginx  spread
plain  yett     18.00       10000  18%   1000/2000   0.90      0.75..0.90
plain  nginx    24.00       10000  24%   1000/2000   -         -
plain  haproxy  20.00       10000  20%   1000/2000   1.00      0.83..1.00

case  subject  connections  MB before  MB with them  KB per connection
idle  yett     10000        10.0       40.0          3.00

plain: yett/nginx 0.90 [0.75..0.90] (target <= 1.00) met
plain: yett/haproxy 0.90 (target <= 0.50) NOT met
plain: yett/envoy not measured (target <= 1.00)
plain: haproxy/nginx 1.00 [0.83..1.00] (target <= 0.90) NOT met
idle: yett 3.00 (target <= 4.00 KB per connection) met
idle: yett not measured (target <= 4.00 KB per connection)
`
	if b.String() != want {
		t.Errorf("report is\n%s\nwant\n%s", b.String(), want)
	}
	if r.met() {
		t.Error("all targets are met, one is not")
	}
	r.Targets = r.Targets[:1]
	if !r.met() {
		t.Error("targets are not met, the only one is")
	}
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		args string
		bad  bool
	}{
		{args: ""},
		{args: "-case plain,idle -subjects nginx,nginx -rounds 1 -duration 1s"},
		{args: "-case unknown", bad: true},
		{args: "-rounds 0", bad: true},
		{args: "-duration 0s", bad: true},
		{args: "-conns 0", bad: true},
		{args: "extra", bad: true},
	}
	for _, test := range tests {
		if _, err := parseOptions(strings.Fields(test.args), io.Discard); (err != nil) != test.bad {
			t.Errorf("parseOptions(%q): error %v", test.args, err)
		}
	}
	o, err := parseOptions([]string{"-case", "plain,idle"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !o.wants("plain") || !o.wants("idle") || o.wants("1m") {
		t.Errorf("-case plain,idle wants the wrong cases")
	}
}

func TestFindSubjectsLabels(t *testing.T) {
	self := "/proc/self/exe" // any executable: it is not run
	o := options{subjects: []string{"yett", "yett"}, yett: []string{self}}
	found, err := findSubjects(context.Background(), o, t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].label != "yett" || found[1].label != "yett#2" || found[1].name != "yett" {
		t.Errorf("found %+v", found)
	}
	o.subjects = []string{"apache"}
	if _, err := findSubjects(context.Background(), o, t.TempDir(), io.Discard); err == nil {
		t.Error("unknown subject: no error")
	}
}
