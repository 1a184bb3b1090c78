package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"yett/internal/gateway"
)

// sheet is text in two columns: a label, and lines beside it.
type sheet struct {
	b     strings.Builder
	label string // of the next line
}

const labelWidth = 10

// under begins a section.
func (p *sheet) under(label string) { p.label = label }

// line adds a line.
func (p *sheet) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(&p.b, "%s\n", strings.TrimRight(fmt.Sprintf("%-*s %s", labelWidth, p.label, printable(text)), " "))
	p.label = ""
}

// printable shows what a terminal would take for a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// print writes the explanation for people.
func (e *explanation) print(w io.Writer) error {
	p := &sheet{}
	e.printRequest(p)
	e.printRoute(p)
	for i := range e.Policies {
		if i == 0 {
			p.under("policies")
		}
		printStep(p, &e.Policies[i])
	}
	e.printCaller(p)
	e.printAnswers(p)
	e.printAnswer(p)
	for _, n := range e.Notes {
		p.under("note")
		p.line("%s", n)
	}
	p.b.WriteString("\n" + e.verdict() + "\n")
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (e *explanation) printRequest(p *sheet) {
	r := &e.Request
	p.under("request")
	p.line("%s %s %s", r.Method, r.Target, r.Version)
	p.line("to %s, listener %s, %s", cmp.Or(r.Host, "no host"), r.Listener, map[bool]string{false: "plain", true: "over TLS"}[r.TLS])
	p.under("client")
	p.line("%s: %s", e.Client.Address, e.Client.How)
	if e.Client.Address != e.Client.Peer {
		p.line("the other end of the connection is %s", e.Client.Peer)
	}
	p.under("dropped")
	for _, d := range e.Dropped {
		p.line("%s: %s", d.Name, d.Why)
	}
}

func (e *explanation) printRoute(p *sheet) {
	p.under("route")
	switch r := e.Route; {
	case r == nil:
		p.line("none")
	case r.Preflight:
		p.line("%s, whose policies answer CORS preflights", r.Name)
	default:
		priority := ""
		if r.Priority != "" {
			priority = ", priority " + r.Priority
		}
		p.line("%s: %s, auth %s%s", r.Name, ruleText(r), r.Auth, priority)
		for _, v := range r.Values {
			p.line("  %s = %s", v.Name, v.Value)
		}
	}
	if e.Request.Path != "" && !strings.HasPrefix(e.Request.Target+"?", e.Request.Path+"?") {
		p.line("the path is matched as %s", e.Request.Path)
	}
	for _, n := range e.Near {
		p.line("not %s, %s: %s", n.Name, n.Path, n.Why)
	}
}

func ruleText(r *gateway.Route) string {
	words := []string{cmp.Or(strings.Join(r.Methods, ","), "any method"), r.Host + r.Path}
	return strings.Join(append(words, r.Conditions...), ", ")
}

func printStep(p *sheet, s *gateway.Step) {
	note := ""
	if s.Part != "" {
		note = " (part " + s.Part + ")"
	}
	if s.Mode != "" {
		note += " (mode " + s.Mode + ")"
	}
	verdict := s.Verdict
	if r := s.Refusal; r != nil {
		verdict += fmt.Sprintf(": %d %s, reason %s", r.Status, r.Code, r.Reason)
	}
	p.line("%-16s %s%s", s.Policy, verdict, note)
	if s.Refusal != nil && s.Refusal.Detail != "" {
		p.line("  %s", s.Refusal.Detail)
	}
	for _, text := range s.Says {
		p.line("  %s", text)
	}
	for _, f := range s.Sets {
		p.line("  sets %s: %s", f.Name, f.Value)
	}
	for _, name := range s.Removes {
		p.line("  removes %s", name)
	}
}

func (e *explanation) printCaller(p *sheet) {
	p.under("caller")
	c := e.Caller
	if c == nil {
		p.line("nobody whom the gateway knows")
	} else {
		p.line("%s, by issuer %s", c.Subject, cmp.Or(c.Issuer, "none"))
		for _, f := range []struct{ name, text string }{
			{"email", c.Email}, {"roles", strings.Join(c.Roles, ", ")}, {"tenant", c.Tenant}, {"plan", c.Plan},
			{"permissions", strings.Join(c.Permissions, ", ")}, {"scopes", strings.Join(c.Scopes, ", ")},
		} {
			if f.text != "" {
				p.line("  %s: %s", f.name, f.text)
			}
		}
	}
	if e.As != "" {
		p.line("the token of %s was made up, and no issuer's key was asked", e.As)
	}
}

func (e *explanation) printAnswers(p *sheet) {
	p.under("answers")
	a := e.Answers
	if len(a.Targets) == 0 {
		p.line("%s", a)
	} else {
		p.line("%s at %s", a, strings.Join(a.Targets, ", "))
	}
	if len(e.Guards) > 0 { // the breaker, and all else
		p.under("guards")
		p.line("%s", e.Guards[0])
		p.line("%s", strings.Join(e.Guards[1:], "; "))
	}
	e.printSplit(p)
	e.printMirror(p)
	if e.Sent == nil {
		return
	}
	p.under("is sent")
	p.line("%s", e.Sent.Line)
	for _, f := range e.Sent.Fields {
		p.line("%s: %s", f.Name, f.Value)
	}
}

func (e *explanation) printSplit(p *sheet) {
	s := e.Split
	if s == nil {
		return
	}
	var shares []string
	for _, one := range s.Shares {
		shares = append(shares, one.String())
	}
	p.under("split")
	p.line("%s", strings.Join(shares, ", "))
	by := strings.Join(s.By, ", ")
	switch {
	case s.Bound:
		p.line("by %s: this caller always gets %s", by, e.Answers.Name)
	case by != "":
		p.line("by %s, of which the request has nothing, so it is left to chance; %s is shown", by, e.Answers.Name)
	default:
		p.line("left to chance; %s is shown", e.Answers.Name)
	}
}

func (e *explanation) printMirror(p *sheet) {
	m := e.Mirror
	if m == nil {
		return
	}
	p.under("mirror")
	p.line("%s to %s: %s", cmp.Or(strings.Join(m.Methods, ","), "any method"), m.Service, m.Share)
	if m.Not != "" {
		p.line("this request is not copied: %s", m.Not)
	}
}

func (e *explanation) printAnswer(p *sheet) {
	p.under("answer")
	if e.Answer.Status != 0 {
		p.line("%d", e.Answer.Status)
	} else {
		p.line("what the %s says, with", e.Answers)
	}
	for _, f := range e.Answer.Fields {
		by := ""
		if f.By != "" {
			by = "   (" + f.By + ")"
		}
		p.line("%s: %s%s", f.Name, f.Value, by)
	}
	if e.Answer.Body != "" {
		p.line("")
		for line := range strings.Lines(e.Answer.Body) {
			p.line("%s", strings.TrimRight(line, "\r\n"))
		}
	}
}

// verdict is the last line.
func (e *explanation) verdict() string {
	r := e.Refusal
	if r == nil {
		return fmt.Sprintf("It passes: the %s answers.", e.Answers)
	}
	text := fmt.Sprintf("It is refused by the %s with %d %s, reason %s: %s.", r.By, r.Status, r.Code, r.Reason, r.Message)
	if r.Detail != "" {
		text += "\nDetail: " + printable(r.Detail)
	}
	if r.Help != "" {
		text += "\nHelp: " + r.Help
	}
	return text
}
