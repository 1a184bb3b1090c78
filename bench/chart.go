package main

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
)

// chart is horizontal bars in blocks. A block has its own scale, because a
// megabyte takes fifty times as long as 200 bytes.
type chart struct {
	Title  string
	Unit   string
	Blocks []block
}

type block struct {
	Title string
	Bars  []bar
}

type bar struct {
	Label string
	Value float64
	Note  string // instead of the value
}

// The chart's measures, in its own units.
const (
	chartWidth = 760
	labelWidth = 200
	barsWidth  = 430
	rowHeight  = 20
	barHeight  = 13
	blockGap   = 34
	topHeight  = 36
	// cutAt is how many times the median bar a bar may be: a longer one is cut off,
	// and drawn with a gap, so that the others stay visible.
	cutAt = 5
)

// drawn is a chart as the template needs it.
type drawn struct {
	Title         string
	Width, Height int
	Texts         []drawnText
	Bars          []drawnBar
}

type drawnText struct {
	X, Y   int
	Text   string
	Class  string
	Anchor string
}

type drawnBar struct {
	X, Y, Width, Height int
	Fill                string
	Cut                 int // where the gap is, 0 for none
}

// svg draws the chart. It has a background of its own, so it can be read on light
// and dark pages.
func (c chart) svg() ([]byte, error) {
	d := drawn{Title: c.Title, Width: chartWidth}
	y := topHeight
	for _, b := range c.Blocks {
		y += blockGap
		d.Texts = append(d.Texts, drawnText{X: 16, Y: y - 10, Text: b.Title, Class: "h"})
		longest := b.longest()
		for _, bar := range b.Bars {
			d.row(bar, c.Unit, y, longest)
			y += rowHeight
		}
	}
	d.Height = y + 16
	var out bytes.Buffer
	if err := chartTemplate().Execute(&out, d); err != nil {
		return nil, fmt.Errorf("draw %s: %w", c.Title, err)
	}
	return out.Bytes(), nil
}

// row draws one bar with its label and its value.
func (d *drawn) row(b bar, unit string, y int, longest float64) {
	value := b.Note
	if value == "" {
		value = short(b.Value) + " " + unit
	}
	width := 1
	if longest > 0 {
		width = max(1, int(barsWidth*min(max(b.Value, 0), longest)/longest))
	}
	shape := drawnBar{X: labelWidth, Y: y, Width: width, Height: barHeight, Fill: "#94a3b8"}
	if nameOf(b.Label) == "yett" {
		shape.Fill = "#0f766e"
	}
	if b.Value > longest {
		shape.Cut = labelWidth + width - 24
	}
	d.Bars = append(d.Bars, shape)
	d.Texts = append(d.Texts,
		drawnText{X: labelWidth - 8, Y: y + barHeight - 2, Text: b.Label, Anchor: "end"},
		drawnText{X: labelWidth + width + 6, Y: y + barHeight - 2, Text: value, Class: "v"})
}

// longest is the value of a bar over the whole width.
func (b block) longest() float64 {
	var values []float64
	for _, bar := range b.Bars {
		values = append(values, bar.Value)
	}
	if len(values) == 0 {
		return 0
	}
	s := spreadOf(values)
	if s.Max <= cutAt*s.Median {
		return s.Max
	}
	return max(cutAt*s.Median, largestBelow(values, cutAt*s.Median))
}

// largestBelow is the largest value up to a bound.
func largestBelow(values []float64, bound float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	i, _ := slices.BinarySearch(sorted, bound)
	return sorted[max(0, i-1)]
}

// short writes a value with three digits that count.
func short(v float64) string {
	switch {
	case v < 10 && v > -10:
		return fmt.Sprintf("%.2f", v)
	case v < 100 && v > -100:
		return fmt.Sprintf("%.1f", v)
	}
	return thousands(v)
}

// thousands writes a whole number with commas.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	first := 0
	if v < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func chartTemplate() *template.Template {
	return template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" font-family="sans-serif" font-size="12" fill="#334155" role="img">
<title>{{.Title}}</title>
<style>.t{font-size:15px;fill:#0f172a}.h{font-weight:bold;fill:#0f172a}.v{fill:#0f172a}</style>
<rect width="100%" height="100%" rx="6" fill="#ffffff"/>
<text class="t" x="16" y="26">{{.Title}}</text>
{{range .Bars}}<rect x="{{.X}}" y="{{.Y}}" width="{{.Width}}" height="{{.Height}}" rx="1" fill="{{.Fill}}"/>
{{if .Cut}}<path d="M{{.Cut}} {{.Y}}l6 0l-5 {{.Height}}l-6 0z" fill="#ffffff"/>
{{end}}{{end}}{{range .Texts}}<text{{with .Class}} class="{{.}}"{{end}} x="{{.X}}" y="{{.Y}}"{{with .Anchor}} text-anchor="{{.}}"{{end}}>{{.Text}}</text>
{{end}}</svg>
`))
}
