package limit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"yett/internal/meter"
	"yett/internal/store"
)

// Facts is what the gateway's document may tell callers of a limit.
type Facts struct {
	// Rule is the limit in words, such as "1000 in 15 minutes for each user".
	Rule string
	// Enforced tells that it refuses, Closed that it also does while the store is lost.
	Enforced, Closed bool
	// Shown tells that callers may know of it, Fields that answers tell what is left.
	Shown, Fields bool
	// Anonymous tells that requests count whose caller is not known.
	Anonymous bool
}

// Facts returns them for requests that cost a multiple of the limit's own cost.
func (l *Limit) Facts(cost int64) Facts {
	f := Facts{
		Rule: l.said, Enforced: !l.soft, Closed: !l.soft && l.onLoss == meter.Closed,
		Shown: l.shown, Fields: l.shown && !l.soft && l.kind != meter.Flight, Anonymous: l.who.anonymous,
	}
	if each := l.cost * cost; each > 1 {
		f.Rule += fmt.Sprintf("; each request costs %d", each)
	}
	return f
}

// say says what the limit is to those who are counted. It leaves out what is only for those
// who run the gateway: algorithms, and networks that do not count.
func (b *builder) say() string {
	l := b.out
	var s strings.Builder
	s.WriteString(sayAmount(l.kind, l.rule) + " " + sayTogether(l))
	if !l.who.everybody() {
		s.WriteString("; only for " + l.who.said)
	}
	if l.kind == meter.After {
		s.WriteString("; only answers " + either(b.conf.Counts) + " count")
	}
	for _, t := range l.tiers {
		s.WriteString("; for " + t.who.said + " ")
		if t.unlimited {
			s.WriteString("unlimited")
		} else {
			s.WriteString(sayAmount(l.kind, t.rule))
		}
	}
	return s.String()
}

func sayAmount(kind meter.Kind, r store.Rule) string {
	if kind == meter.Flight {
		return fmt.Sprintf("%d at once", r.Limit)
	}
	text := fmt.Sprintf("%d in %s", r.Limit, sayTime(r.Window))
	if size := r.Size(); size != r.Limit {
		text += fmt.Sprintf(", up to %d at once,", size)
	}
	return text
}

func sayTogether(l *Limit) string {
	var names []string
	for _, p := range l.parts {
		switch p.kind {
		case byEveryone:
			return "for all callers together"
		case byIP:
			names = append(names, "address")
		case byAPIKey:
			names = append(names, "API key")
		case byHeader:
			names = append(names, "value of the header "+p.name)
		case byPath:
			names = append(names, "{"+p.name+"} of the path")
		default:
			names = append(names, strings.TrimSuffix(p.label, ":"))
		}
	}
	return "for each " + sentence(names, " and ")
}

// sayCallers says who is meant by words for callers. It names no tenant: who the customers
// are is nobody's business.
func sayCallers(list []string) string {
	var said []string
	for _, text := range list {
		word, value, _ := strings.Cut(text, ":")
		switch word {
		case "all":
			word = "all callers"
		case "anonymous":
			word = "callers who are not known"
		case "known":
			word = "callers who are known"
		case "min_role":
			word = "role " + value + " or above"
		case "tenant":
			word = "some tenants"
		default:
			word += " " + value
		}
		if !slices.Contains(said, word) {
			said = append(said, word)
		}
	}
	return either(said)
}

// sayTime writes a duration in words: "1 hour and 30 minutes".
func sayTime(d time.Duration) string {
	if d%time.Millisecond != 0 {
		return d.String()
	}
	var parts []string
	for _, u := range [...]struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}, {time.Millisecond, "millisecond"}} {
		n := d / u.unit
		d %= u.unit
		switch {
		case n == 1:
			parts = append(parts, "1 "+u.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	return sentence(parts, " and ")
}
