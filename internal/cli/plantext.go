package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"yett/internal/control"
	"yett/internal/control/plan"
)

// outcomeText writes what became, or would become, of a Proposal: what is another, and where it was
// refused what is wrong, a line for each problem.
func outcomeText(w io.Writer, o control.Outcome) error {
	var b strings.Builder
	planText(&b, o.Plan)
	switch {
	case len(o.Problems) > 0:
		fmt.Fprintf(&b, "%s\n%s; nothing was changed\n", o.Problems.Error(), count(len(o.Problems), "problem"))
	case o.Refused != "":
		fmt.Fprintf(&b, "refused: %s; nothing was changed\n", strings.TrimRight(o.Refused, ".\n"))
	case o.Plan.Same():
		b.WriteString("nothing changes" + kept(o.Plan, " (") + "\n")
	default:
		b.WriteString(summary(o.Plan) + "\n")
	}
	if o.Applied && o.Revision.ID != "" {
		fmt.Fprintf(&b, "revision %s runs\n", o.Revision.ID)
	}
	_, err := io.WriteString(w, printableLines(b.String()))
	return err
}

// isRefused tells whether a Proposal was not taken.
func isRefused(o control.Outcome) bool { return len(o.Problems) > 0 || o.Refused != "" }

// showOutcome prints an Outcome, with colours on a terminal or as JSON. One that is a refusal goes to
// the standard error and is an error.
func (p Process) showOutcome(o control.Outcome, asJSON bool) error {
	var text strings.Builder
	var err error
	if asJSON {
		e := json.NewEncoder(&text)
		e.SetIndent("", "  ")
		if o.Plan.Changes == nil { // a list all the same, for whoever goes through it
			o.Plan.Changes = []plan.Change{}
		}
		if o.Plan.Kept == nil {
			o.Plan.Kept = map[string]int{}
		}
		err = e.Encode(o)
	} else {
		err = outcomeText(&text, o)
	}
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		_, err = io.WriteString(p.Stdout, text.String())
	case isRefused(o):
		_, err = io.WriteString(p.Stderr, text.String())
	default:
		err = p.painted(paintPlan).print(text.String())
	}
	if err == nil && isRefused(o) {
		err = exitCode(exitFail) // everything was said
	}
	return err
}

// The marks in front of a change.
var marks = map[string]string{plan.Added: "+", plan.Removed: "-", plan.Changed: "~"}

// planText writes a line for each change and one for each field of it. What is gone has no fields.
func planText(b *strings.Builder, p plan.Plan) {
	rows := make([][]string, len(p.Changes))
	for i, c := range p.Changes {
		effect := c.Effect
		if c.Weaker {
			effect = weaker + effect
		}
		rows[i] = []string{marks[c.What] + " " + c.Kind, c.Name, effect}
	}
	lines := strings.SplitAfter(columns(rows), "\n")
	for i, c := range p.Changes {
		b.WriteString(lines[i])
		if c.What != plan.Removed {
			fieldsText(b, c)
		}
	}
	if len(p.Changes) > 0 {
		b.WriteString("\n")
	}
	if len(p.NeedsProcess) > 0 {
		fmt.Fprintf(b, "only new processes take %s\n", strings.Join(p.NeedsProcess, ", "))
	}
}

// weaker stands before an effect that lets pass what was refused before.
const weaker = "WARNING: "

func fieldsText(b *strings.Builder, c plan.Change) {
	width := 0
	for _, f := range c.Fields {
		width = max(width, utf8.RuneCountInString(f.Path))
	}
	for _, f := range c.Fields {
		fmt.Fprintf(b, "    %-*s  %s\n", width, printable(f.Path), fieldText(c, f))
	}
}

func fieldText(c plan.Change, f plan.Field) string {
	switch {
	case c.What == plan.Added:
		return printable(f.To)
	case f.From == "" && isItem(c, f):
		return "+ " + printable(f.To)
	case f.To == "" && isItem(c, f):
		return "- " + printable(f.From)
	case f.From == f.To:
		return printable(f.To) + " changed"
	}
	return orNothing(f.From) + " → " + orNothing(f.To)
}

// isItem tells whether a field is one of several of a list.
func isItem(c plan.Change, f plan.Field) bool {
	same := 0
	for _, other := range c.Fields {
		if other.Path == f.Path {
			same++
		}
	}
	return same > 1 || f.Path == "targets"
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return printable(text)
}

// summary counts what changes and what doesn't.
func summary(p plan.Plan) string {
	numbers := make(map[string]int)
	for _, c := range p.Changes {
		numbers[c.What]++
	}
	var parts []string
	for _, what := range []string{plan.Added, plan.Changed, plan.Removed} {
		if n := numbers[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	return strings.Join(parts, ", ") + kept(p, "; ")
}

// kept counts what stays, behind the given words, in the order of a configuration.
func kept(p plan.Plan, lead string) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(p.Kept)) {
		noun := kind
		if kind == "policy" && p.Kept[kind] > 1 {
			parts = append(parts, fmt.Sprintf("%d policies", p.Kept[kind]))
			continue
		}
		parts = append(parts, count(p.Kept[kind], noun))
	}
	if len(parts) == 0 {
		return ""
	}
	text := lead + "kept: " + strings.Join(parts, ", ")
	if strings.HasSuffix(lead, "(") {
		text += ")"
	}
	return text
}

const green = "\x1b[32m"

// paintPlan adds colours to the lines of a plan.
func paintPlan(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if at := strings.Index(l, weaker); at >= 0 && !strings.HasPrefix(l, " ") {
			lines[i] = paintMark(l[:at]) + red + l[at:] + normal
			continue
		}
		lines[i] = paintMark(l)
	}
	return strings.Join(lines, "\n")
}

func paintMark(line string) string {
	colours := map[string]string{"+ ": green, "- ": red, "~ ": yellow}
	if len(line) < 2 || colours[line[:2]] == "" {
		return line
	}
	return colours[line[:2]] + line[:1] + normal + line[1:]
}
