package contract

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPatternSteps(t *testing.T) {
	tests := []struct {
		pattern     string
		least, most int // steps
	}{
		{`^[a-z]+$`, 1, 1},
		{`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, 1, 1},
		{`^[A-Za-z0-9+/]*={0,2}$`, 1, 12},
		{`^[a-z0-9]+(-[a-z0-9]+)*$`, 1, 1},
		{`^(red|green|blue)$`, 1, 1},
		{`^[a-z]{900}[0-9]`, 1, 1},
		{`^(\+|00)?[1-9][0-9]{6,14}$`, 1, 1},
		{`\d{3}`, 3, 12},
		{`^[^@]+@[^@]+\.[^@]+$`, 8, 20}, // a point can be in two places
		{`^(a|ab)c$`, 1, 12},
		{`^(a*)*$`, 3, 12},
		{`^(?i)(a|A)$`, 1, 12},
		{`[a-z]{900}[0-9]`, 900, 2000},
		{`(x|y){1000}$`, 2000, 6000},
		{`(.?x.?){300}z`, 1200, 3000},
	}
	for _, tt := range tests {
		p, what := compilePattern(tt.pattern)
		if p == nil || p.steps < tt.least || p.steps > tt.most {
			t.Errorf("%s: %+v %s, want %d to %d steps", tt.pattern, p, what, tt.least, tt.most)
		}
	}
	for _, long := range []string{strings.Repeat("a", maxSteps+1), strings.Repeat(`(\p{L}{30}){30}`, 12), strings.Repeat("x{900}", 12), strings.Repeat("(a|b)", 6000)} {
		if p, what := compilePattern(long); p != nil || !strings.Contains(what, "too long") {
			t.Errorf("%.20s: %+v %s", long, p, what)
		}
	}
}

// Patterns of which it is said that each byte takes one step take no more in fact.
func TestOneWay(t *testing.T) {
	text := strings.Repeat("ab", 1<<18)
	for _, pattern := range []string{`^(a|b)*$`, `^[a-z]{900}[0-9]`, `^(?:ab)*$`, `^(a(b))*c$`, `^[^c]*$`, `^\w+$`} {
		p, _ := compilePattern(pattern)
		if p.steps != 1 {
			t.Errorf("%s takes %d steps", pattern, p.steps)
			continue
		}
		start := processorTime(t)
		p.re.MatchString(text)
		if took := processorTime(t) - start; took > time.Second {
			t.Errorf("%s took %v", pattern, took)
		}
	}
}

// A pattern that is passed over is noted with its place.
func TestLongPattern(t *testing.T) {
	c, problems := Compile(parse(t, strings.Replace(hostile, "^(a+)+$", strings.Repeat("x{900}", 12), 1)))
	if len(problems) != 1 || !strings.Contains(problems.Error(), "too long with its repetitions written out") || problems[0].Line == 0 {
		t.Error(problems)
	}
	o, _ := c.Match("POST", "/number")
	if got := said(o.CheckRequest(request("POST", "/number", "", `"xx"`, "Content-Type", "application/json"), "/number", []byte(`"xx"`))); got != "" {
		t.Error(got)
	}
}

// The effort of patterns counts over all texts of a message, also over those of a query.
func TestEffortOfQuery(t *testing.T) {
	c := compile(t, strings.Replace(hostile, "items: {type: integer, minimum: 0}", `items: {type: string, pattern: "[a-z]{900}[0-9]"}`, 1))
	o, _ := c.Match("GET", "/query")
	query := strings.Repeat("a="+strings.Repeat("x", 1000)+"&", 60)
	list := o.CheckRequest(request("GET", "/query", query, ""), "/query", nil)
	if got := said(list); !strings.Contains(got, "is too long to be checked against a pattern") {
		t.Errorf("%.300s", got)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`^(a|b)*$`, "abab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := regexp.Compile(pattern)
		p, what := compilePattern(pattern)
		if p == nil && err == nil && !strings.Contains(what, "too long") {
			t.Errorf("%q: %s", pattern, what)
		}
		if p != nil && (err != nil || p.re.MatchString(text) != re.MatchString(text)) {
			t.Errorf("%q %q: %v", pattern, text, err)
		}
	})
}
