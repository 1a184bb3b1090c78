package main

import (
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"
)

// The chart's measures, in its own units.
const (
	chartWidth, chartLeft, chartRight = 860.0, 70.0, 30.0
	rateTop, rateHeight               = 50.0, 130.0
	timeTop, timeHeight               = 220.0, 180.0
	chartHeight                       = 440.0
)

// writeChart draws the rate and the latencies of a run over its time.
func writeChart(path string, r result, moments []moment) error {
	if len(moments) < 2 {
		return nil // too short for a line
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := chartTemplate().Execute(f, newChart(r, moments)); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return f.Close()
}

// chart is what the template draws.
type chart struct {
	Title, Found  string
	Width, Height float64
	Left, Right   float64
	Lines         []line
	Marks         []mark // of the axes
	Labels        []mark // of what is drawn
}

type line struct{ Color, Points string }

type mark struct {
	X, Y  float64
	Text  string
	Color string
	Grid  bool   // with a line over the whole width
	At    string // what of the text is at X: start, middle or end
}

func newChart(r result, moments []moment) chart {
	c := chart{
		Title: fmt.Sprintf("%s: %s", r.test.name, r.test.rates()),
		Found: fmt.Sprintf("%.0f requests, %.2f %% errors; p50 %s, p95 %s, p99 %s", r.value("http_reqs", "count"), 100*r.value("errors", "rate"),
			short(r.latency("p(50)")), short(r.latency("p(95)")), short(r.latency("p(99)"))),
		Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartWidth - chartRight,
	}
	last := moments[len(moments)-1].at
	x := func(at float64) float64 { return chartLeft + at/last*(chartWidth-chartLeft-chartRight) }
	c.rates(moments, x)
	c.latencies(moments, x)
	for i := range 6 {
		at := last * float64(i) / 5
		c.Marks = append(c.Marks, mark{X: x(at), Y: timeTop + timeHeight + 20, Text: fmt.Sprintf("%.0f s", at), At: "middle"})
	}
	return c
}

// rates draws requests per second, from 0 on.
func (c *chart) rates(moments []moment, x func(float64) float64) {
	top := 0.0
	for _, m := range moments {
		top = max(top, m.rate)
	}
	top = roundUp(top)
	y := func(v float64) float64 { return rateTop + rateHeight*(1-v/top) }
	for _, v := range []float64{0, top / 2, top} {
		c.Marks = append(c.Marks, mark{X: chartLeft - 8, Y: y(v), Text: fmt.Sprintf("%g/s", v), Grid: true, At: "end"})
	}
	c.draw("#2563eb", moments, x, func(m moment) float64 { return y(m.rate) })
	c.Labels = append(c.Labels, mark{X: chartLeft, Y: rateTop - 8, Text: "requests", Color: "#2563eb"})
}

// latencies draws them by their logarithm, because they lie far apart.
func (c *chart) latencies(moments []moment, x func(float64) float64) {
	low, high := math.Inf(1), 0.0
	for _, m := range moments {
		if !math.IsNaN(m.p99) {
			low, high = min(low, m.p50), max(high, m.p99)
		}
	}
	from, to := math.Floor(math.Log10(max(low, 0.01))), math.Ceil(math.Log10(max(high, 0.1)))
	y := func(v float64) float64 {
		return timeTop + timeHeight*(1-(math.Log10(max(v, 0.01))-from)/(to-from))
	}
	for e := from; e <= to; e++ {
		c.Marks = append(c.Marks, mark{X: chartLeft - 8, Y: y(math.Pow(10, e)), Text: fmt.Sprintf("%g ms", math.Pow(10, e)), Grid: true, At: "end"})
	}
	for i, l := range []struct {
		name, color string
		of          func(moment) float64
	}{
		{"p99", "#dc2626", func(m moment) float64 { return m.p99 }},
		{"p95", "#d97706", func(m moment) float64 { return m.p95 }},
		{"p50", "#059669", func(m moment) float64 { return m.p50 }},
	} {
		c.draw(l.color, moments, x, func(m moment) float64 { return y(l.of(m)) })
		c.Labels = append(c.Labels, mark{X: chartLeft + 40*float64(i), Y: timeTop - 8, Text: l.name, Color: l.color})
	}
}

// draw adds a line, which has gaps where there is no value.
func (c *chart) draw(color string, moments []moment, x func(float64) float64, y func(moment) float64) {
	var b strings.Builder
	pen := "M"
	for _, m := range moments {
		v := y(m)
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, x(m.at), v)
		pen = "L"
	}
	c.Lines = append(c.Lines, line{color, b.String()})
}

// roundUp returns a number that is good to read on an axis.
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, step := range []float64{1, 2, 4, 6, 8} {
		if v <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

func chartTemplate() *template.Template {
	return template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" font-family="sans-serif" font-size="12" fill="#374151">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{{.Left}}" y="22" font-size="16" fill="#111827">{{.Title}}</text>
<text x="{{.Right}}" y="22" text-anchor="end">{{.Found}}</text>
{{range .Marks}}{{if .Grid}}<path d="M{{$.Left}} {{.Y}}H{{$.Right}}" stroke="#e5e7eb"/>
{{end}}<text x="{{.X}}" y="{{.Y}}" dy="4" text-anchor="{{.At}}">{{.Text}}</text>
{{end}}{{range .Lines}}<path d="{{.Points}}" fill="none" stroke="{{.Color}}" stroke-width="1.5"/>
{{end}}{{range .Labels}}<text x="{{.X}}" y="{{.Y}}" fill="{{.Color}}">{{.Text}}</text>
{{end}}</svg>
`))
}
