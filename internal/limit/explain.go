package limit

import (
	"fmt"
	"strings"

	"yett/internal/config"
	"yett/internal/meter"
	"yett/internal/store"
)

// explain says what the limit is, in one line.
func (b *builder) explain() string {
	l := b.out
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s", amount(l.kind, l.rule), together(l))
	if !l.who.everybody() {
		s.WriteString(", of callers: " + l.who.text)
	}
	if l.cost > 1 {
		fmt.Fprintf(&s, ", each request costs %d", l.cost)
	}
	if l.kind == meter.After {
		s.WriteString(", only answers with status " + either(b.conf.Counts))
	}
	if len(l.except) > 0 {
		s.WriteString(", none from " + sentence(prefixes(b.conf.Except), " and "))
	}
	if l.preflights {
		s.WriteString(", CORS preflights too")
	}
	for _, t := range l.tiers {
		s.WriteString("; " + t.who.text + ": ")
		if t.unlimited {
			s.WriteString("unlimited")
		} else {
			s.WriteString(amount(l.kind, t.rule))
		}
	}
	if l.soft {
		s.WriteString("; only observed")
	}
	return s.String()
}

// amount says how much there is.
func amount(kind meter.Kind, r store.Rule) string {
	if kind == meter.Flight {
		return fmt.Sprintf("%d at once", r.Limit)
	}
	text := fmt.Sprintf("%d in %s", r.Limit, config.Duration(r.Window))
	switch {
	case r.Algorithm == store.FixedWindow:
		text += " (fixed window)"
	case r.Algorithm == store.TokenBucket:
		text += fmt.Sprintf(" (bucket of %d)", r.Burst)
	}
	return text
}

// together says who is counted together.
func together(l *Limit) string {
	var names []string
	for _, p := range l.parts {
		switch p.kind {
		case byEveryone:
			return "for all together"
		case byIP:
			names = append(names, "ip"+l.ip4.suffix+ip6Note(l.ip6))
		case byAPIKey:
			names = append(names, "API key")
		case byHeader:
			names = append(names, "header "+p.name)
		case byPath:
			names = append(names, "{"+p.name+"} of the path")
		default:
			names = append(names, strings.TrimSuffix(p.label, ":"))
		}
	}
	return "for each " + sentence(names, " and ")
}

// ip6Note tells how much of an IPv6 address counts where it is not as usual.
func ip6Note(n network) string {
	if n.suffix == "/64" {
		return ""
	}
	return fmt.Sprintf(" (IPv6 /%d)", n.bits)
}

func prefixes(list []config.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return texts
}
