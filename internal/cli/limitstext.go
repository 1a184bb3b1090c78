package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"yett/internal/admin"
	"yett/internal/config"
)

// limitsText is the page for people.
func limitsText(page *admin.LimitsPage) string {
	var b strings.Builder
	b.WriteString(printable(limitsHead(&page.Store)) + "\n")
	if len(page.Limits) == 0 {
		b.WriteString("there are no limits in its configuration\n")
		return b.String()
	}
	b.WriteString("\n")
	writeLimits(&b, page.Limits)
	near := keysOf(page.Limits, func(l *admin.LimitPage) []admin.KeyPage { return l.Nearest })
	slices.SortStableFunc(near, func(a, b keyRow) int { return cmp.Compare(b.share(), a.share()) })
	writeKeys(&b, "NEAREST", near)
	refused := keysOf(page.Limits, func(l *admin.LimitPage) []admin.KeyPage { return l.MostRefused })
	slices.SortStableFunc(refused, func(a, b keyRow) int { return cmp.Compare(b.Refused, a.Refused) })
	writeKeys(&b, "REFUSED MOST", refused)
	return b.String()
}

// limitsHead says where limits count.
func limitsHead(s *admin.LimitsStore) string {
	var text string
	switch s.State {
	case "shared":
		text = fmt.Sprintf("counted in the store by %s", count(int(s.Nodes), "node"))
	case "alone":
		text = "THE STORE IS LOST: this node counts alone"
		if s.Nodes > 1 {
			text += fmt.Sprintf(", its share of %d nodes", s.Nodes)
		}
	default:
		text = "counted on this node"
	}
	if s.Since != "" {
		text += ", since " + s.Since
	}
	if s.Losses > 0 {
		text += fmt.Sprintf("; lost %s since the start", times(s.Losses))
	}
	text += fmt.Sprintf("; %s here", count(int(s.Keys), "key"))
	if s.Dropped > 0 {
		text += fmt.Sprintf(", %d DROPPED for lack of room: raise store.memory.keys", s.Dropped)
	}
	return text
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// aligned writes columns.
func aligned(b *strings.Builder, fill func(*tabwriter.Writer)) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fill(t)
	_ = t.Flush() // into memory
}

// writeLimits writes a row for each limit. What is rare has a column only where it
// is.
func writeLimits(b *strings.Builder, limits []admin.LimitPage) {
	type column struct {
		title string
		value func(*admin.LimitPage) int64
		rare  bool
	}
	columns := slices.DeleteFunc([]column{
		{"ALLOWED", func(l *admin.LimitPage) int64 { return l.Allowed }, false},
		{"REFUSED", func(l *admin.LimitPage) int64 { return l.Refused }, false},
		{"OBSERVED", func(l *admin.LimitPage) int64 { return l.Observed }, true},
		{"WHILE LOST", func(l *admin.LimitPage) int64 { return l.WhileLost }, true},
	}, func(c column) bool {
		return c.rare && !slices.ContainsFunc(limits, func(l admin.LimitPage) bool { return c.value(&l) != 0 })
	})
	aligned(b, func(t *tabwriter.Writer) {
		fmt.Fprint(t, "LIMIT")
		for _, c := range columns {
			fmt.Fprint(t, "\t"+c.title)
		}
		fmt.Fprintln(t, "\tRULE")
		for i := range limits {
			l := &limits[i]
			fmt.Fprint(t, printable(l.Name))
			for _, c := range columns {
				fmt.Fprintf(t, "\t%d", c.value(l))
			}
			fmt.Fprintf(t, "\t%s\n", printable(l.Rule))
		}
	})
}

// keyRow is a key of a limit.
type keyRow struct {
	limit string
	admin.KeyPage
}

// share is how much of the limit is used, from 0 to 1.
func (r *keyRow) share() float64 {
	return min(1, float64(max(0, r.Used))/float64(max(1, r.Limit)))
}

func keysOf(limits []admin.LimitPage, keys func(*admin.LimitPage) []admin.KeyPage) (rows []keyRow) {
	for i := range limits {
		for _, k := range keys(&limits[i]) {
			rows = append(rows, keyRow{limits[i].Name, k})
		}
	}
	return rows
}

// writeKeys writes a row for each key, under a title, unless there is none.
func writeKeys(b *strings.Builder, title string, rows []keyRow) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n")
	aligned(b, func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "%s\tKEY\tUSED\t\tREFUSED\tMORE IN\n", title)
		for i := range rows {
			r := &rows[i]
			more := "now"
			if r.More > 0 {
				more = config.Duration(time.Duration(r.More) * time.Second).String()
			}
			fmt.Fprintf(t, "%s\t%s\t%s %3d%%\t%d of %d\t%d\t%s\n",
				printable(r.limit), printable(r.Key), bar(r.share()), int(100*r.share()), r.Used, r.Limit, r.Refused, more)
		}
	})
}

// barWidth is how many characters a whole limit is.
const barWidth = 10

// bar draws a share, rounded down as its percentage is: only a limit that is used up is full.
func bar(share float64) string {
	n := int(share * barWidth)
	return strings.Repeat("#", n) + strings.Repeat(".", barWidth-n)
}
