package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// style is how a word looks on a terminal that has colours.
type style uint8

const (
	plain style = iota
	faint
	bold
	good
	warn
	alarm
)

func (s style) begin() string {
	switch s {
	case faint:
		return "\x1b[2m"
	case bold:
		return "\x1b[1m"
	case good:
		return "\x1b[32m"
	case warn:
		return yellow
	case alarm:
		return red
	}
	return ""
}

// span is a text of one style.
type span struct {
	text  string
	style style
}

// line is what stands in one line.
type line []span

// cells is how many columns a rune takes.
func cells(r rune) int {
	switch {
	case r < 0x300: // nearly all
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func textWidth(s string) (n int) {
	for _, r := range s {
		n += cells(r)
	}
	return n
}

func (l line) width() (n int) {
	for _, s := range l {
		n += textWidth(s.text)
	}
	return n
}

// cut returns as much of a line as there is room for.
func (l line) cut(room int) line {
	if l.width() <= room {
		return l
	}
	var out line
	for _, s := range l {
		if w := textWidth(s.text); w < room {
			out, room = append(out, s), room-w
			continue
		}
		return append(out, span{cutText(s.text+" ", room), s.style}) // marked, as there is more
	}
	return out
}

// cutText returns a text that takes that many columns at most, with a mark when it is not all of
// it.
func cutText(s string, room int) string {
	if textWidth(s) <= room {
		return s
	}
	n := 0
	for i, r := range s {
		if n += cells(r); n > room-1 && room > 0 {
			return s[:i] + "…"
		}
	}
	return ""
}

// text is what is written of a line. Nothing in it can move the cursor.
func (l line) text(colours bool) string {
	var b strings.Builder
	for _, s := range l {
		text := printable(s.text)
		if begin := s.style.begin(); colours && begin != "" {
			text = begin + text + normal
		}
		b.WriteString(text)
	}
	if colours {
		return b.String()
	}
	return strings.TrimRight(b.String(), " ")
}

// flow writes items one behind the other, with two spaces between, and goes on in the next
// line, below the first, where there is no more room.
func flow(begin line, items []line, room int) []line {
	indent := begin.width()
	l, empty := append(line{}, begin...), true
	var lines []line
	for _, item := range items {
		if !empty && l.width()+2+strippedWidth(item) > room {
			lines = append(lines, l)
			l, empty = line{{strings.Repeat(" ", indent), plain}}, true
		}
		if !empty {
			l = append(l, span{"  ", plain})
		}
		l, empty = append(l, item...), false
	}
	return append(lines, l)
}

// strippedWidth is how wide an item is without the spaces at its end.
func strippedWidth(item line) int {
	last := item[len(item)-1].text
	return item.width() - (len(last) - len(strings.TrimRight(last, " ")))
}

// listing is rows below titles.
type listing struct {
	columns []column
	rows    [][]span
}

// column is one of a listing. Where there is no room for all, those that cut get shorter; when
// that does not help, the one with the highest drop goes first, and with drop 0 none. One in
// which there is nothing is not shown.
type column struct {
	title       string
	right, cuts bool
	drop        int
}

// shortest is what a column that cuts has at least.
const shortest = 12

func (t *listing) widths() []int {
	out := make([]int, len(t.columns))
	for i, c := range t.columns {
		out[i] = textWidth(c.title)
		for _, row := range t.rows {
			out[i] = max(out[i], textWidth(row[i].text))
		}
	}
	return out
}

// fit tells which columns are shown, and how wide each is; 0 is one that is not.
func (t *listing) fit(room int) []int {
	widths := t.widths()
	for {
		w := slices.Clone(widths)
		over := t.squeeze(w, room)
		drop := -1
		for i, c := range t.columns {
			if w[i] > 0 && c.drop > 0 && (drop < 0 || c.drop > t.columns[drop].drop) {
				drop = i
			}
		}
		if over <= 0 || drop < 0 {
			return w
		}
		widths[drop] = 0
	}
}

// squeeze makes columns shorter that may be, and returns by how much all are still too wide.
func (t *listing) squeeze(widths []int, room int) (over int) {
	over = -2 - room
	for _, n := range widths {
		if n > 0 {
			over += n + 2
		}
	}
	for i, c := range t.columns {
		if over > 0 && c.cuts {
			by := max(min(over, widths[i]-shortest), 0)
			widths[i], over = widths[i]-by, over-by
		}
	}
	return over
}

// draw returns the titles and the first rows, in that many columns of the terminal.
func (t *listing) draw(rows, room int) []line {
	w := t.fit(room)
	titles := make([]span, len(t.columns))
	for i, c := range t.columns {
		titles[i] = span{c.title, faint}
	}
	lines := []line{t.row(titles, w)}
	for _, r := range t.rows[:min(rows, len(t.rows))] {
		lines = append(lines, t.row(r, w))
	}
	return lines
}

func (t *listing) row(cells []span, widths []int) line {
	var l line
	for i, c := range cells {
		if widths[i] == 0 {
			continue
		}
		if len(l) > 0 {
			l = append(l, span{"  ", plain})
		}
		text := cutText(c.text, widths[i])
		pad := span{strings.Repeat(" ", widths[i]-textWidth(text)), plain}
		if t.columns[i].right {
			l = append(l, pad, span{text, c.style})
		} else {
			l = append(l, span{text, c.style}, pad)
		}
	}
	return l
}

// part is a listing of the page, perhaps with another one beside it.
type part struct {
	list   listing
	beside *listing
	least  int // rows that it gets before others get more
	shown  int // lines that it has: titles, rows, and how many more there are
}

// lines is how many a part would like to have.
func (p *part) lines() int {
	n := len(p.list.rows)
	if p.beside != nil {
		n = max(n, len(p.beside.rows))
	}
	if n == 0 {
		return 0
	}
	return n + 1
}

// share gives the lines that there are to the parts: to each its least, then what is left to
// those that want more, the first ones first.
func share(parts []part, room, gap int) {
	for i := range parts {
		p := &parts[i]
		want := min(p.lines(), p.least+1)
		if want == 0 || room < gap+2 {
			continue
		}
		p.shown = min(want, room-gap)
		room -= p.shown + gap
	}
	for i := range parts {
		p := &parts[i]
		if p.shown > 0 && room > 0 {
			more := min(p.lines()-p.shown, room)
			p.shown, room = p.shown+more, room-more
		}
	}
}

func (p *part) draw(room int) []line {
	if p.beside == nil {
		return shownRows(&p.list, p.shown, room)
	}
	half := (room - 4) / 2
	left, right := shownRows(&p.list, p.shown, half), shownRows(p.beside, p.shown, half)
	lines := make([]line, max(len(left), len(right)))
	for i := range lines {
		if i < len(left) {
			lines[i] = left[i].cut(half)
		}
		if i < len(right) {
			lines[i] = append(lines[i], span{strings.Repeat(" ", half+4-lines[i].width()), plain})
			lines[i] = append(lines[i], right[i]...)
		}
	}
	return lines
}

// shownRows draws a listing in that many lines, the last of which says how many rows are missing,
// unless it is the only one.
func shownRows(t *listing, lines, room int) []line {
	switch {
	case len(t.rows) < lines:
		return t.draw(len(t.rows), room)
	case lines <= 2:
		return t.draw(lines-1, room)
	}
	shown := lines - 2
	return append(t.draw(shown, room), line{{fmt.Sprintf("… and %d more", len(t.rows)-shown), faint}})
}
