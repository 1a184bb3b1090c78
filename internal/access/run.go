package access

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/gateway"
	"yett/internal/problem"
)

// Report is what came of a table.
type Report struct {
	File   string `json:"file"`
	Config string `json:"config"`
	Rows   []Row  `json:"rows"`
	// Unset are variables of issuers' keys that are not set, which makes no
	// difference.
	Unset []string `json:"unset,omitempty"`
}

// Row is one caller with one request.
type Row struct {
	// Line and Column are where the expectation stands in the file.
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Request  string `json:"request"`
	Caller   string `json:"caller"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	OK       bool   `json:"ok"`
	// Because holds what the gateway says about it, Try the command that shows
	// all of it; both for differences alone.
	Because []string `json:"because,omitempty"`
	Try     []string `json:"try,omitempty"`
}

// Differences returns the rows that are not as expected.
func (r *Report) Differences() []Row {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row Row) bool { return row.OK })
}

// Run holds a table against a configuration, which is the table's own when o
// names none. Nothing goes over the network. The error is a problem.List when
// something is wrong with either.
func (f *File) Run(o app.Options) (*Report, error) {
	own := o.File == ""
	o.File = cmp.Or(o.File, f.ConfigFile())
	o.Env = f.Environment(o.Env)
	w, err := app.NewKeylessWalker(o)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := f.checkAgainst(w.Snapshot().Config).Err(); err != nil {
		return nil, err
	}
	tokens, err := f.tokens(w, time.Now())
	if err != nil {
		return nil, err
	}
	r := &runner{file: f, walker: w, tokens: tokens, report: Report{File: f.path, Config: o.File, Unset: w.Unset()}}
	if !own {
		r.config = o.File
	}
	for i := range f.Tests {
		if err := r.test(i); err != nil {
			return nil, err
		}
	}
	return &r.report, nil
}

// tokens makes the token of each caller.
func (f *File) tokens(w *app.Walker, now time.Time) (map[string]string, error) {
	tokens := make(map[string]string)
	var mint *Mint
	var err error
	for i := range f.Callers {
		e := &f.Callers[i]
		if mint == nil && e.Value.Token == "" {
			if mint, err = NewMint(w.Snapshot().Config, w.Snapshot().Tokens()); err != nil {
				return nil, err
			}
		}
		if tokens[e.Name], err = mint.Token(e.Name, &e.Value, now); err != nil {
			return nil, problem.List{f.node.Problem("callers."+e.Name, err.Error(), "")}
		}
	}
	return tokens, nil
}

// Token makes the token of one caller, "" for the anonymous one, and has the
// Walker believe it.
func (f *File) Token(w *app.Walker, caller string) (string, error) {
	if caller == Anonymous {
		return "", nil
	}
	c, ok := f.Callers.Get(caller)
	if !ok {
		return "", fmt.Errorf("%s has no caller %q; %s", f.path, caller, problem.DidYouMean(caller, f.everybody()))
	}
	only := File{Callers: config.Mapping[Caller]{{Name: caller, Value: *c}}, path: f.path, node: f.node}
	if err := only.checkAgainst(w.Snapshot().Config).Err(); err != nil {
		return "", err
	}
	tokens, err := only.tokens(w, time.Now())
	return tokens[caller], err
}

// runner is one run of a table.
type runner struct {
	file   *File
	walker *app.Walker
	tokens map[string]string
	config string // where it is not the table's own
	report Report
}

func (r *runner) test(i int) error {
	t := &r.file.Tests[i]
	for _, line := range t.Request {
		for _, p := range r.file.pairs(i) {
			walk, err := r.walker.Walk(WithToken(r.request(t, line), r.tokens[p.caller]))
			if err != nil {
				return fmt.Errorf("%s as %s: %w", line, p.caller, err)
			}
			r.report.Rows = append(r.report.Rows, r.row(t, line, p, walk))
		}
	}
	return nil
}

// request makes the request of a test.
func (r *runner) request(t *Test, line string) app.Request {
	method, target, _ := strings.Cut(line, " ")
	out := app.Request{Method: method, URL: target, Body: []byte(t.Body), Peer: t.IP.Or(), Listener: cmp.Or(t.Listener, r.file.Listener)}
	for _, h := range t.Headers {
		out.Header = append(out.Header, h.Name+": "+h.Value)
	}
	return out
}

// placeholder is where a caller's token goes, if not into Authorization.
const placeholder = "{token}"

// WithToken returns a request with a caller's token, "" for none: where {token}
// stands, else in the field Authorization. Who has no token does not send the
// fields that ask for it.
func WithToken(r app.Request, raw string) app.Request {
	header := r.Header
	r.Header = nil
	placed := strings.Contains(r.URL, placeholder)
	r.URL = strings.ReplaceAll(r.URL, placeholder, url.QueryEscape(raw))
	for _, line := range header {
		asks := strings.Contains(line, placeholder)
		placed = placed || asks
		if !asks || raw != "" {
			r.Header = append(r.Header, strings.ReplaceAll(line, placeholder, raw))
		}
	}
	if raw != "" && !placed {
		r.Header = append(r.Header, "Authorization: Bearer "+raw)
	}
	return r
}

func (r *runner) row(t *Test, line string, p pair, walk *gateway.Walk) Row {
	at := r.file.node.Problem(p.at, "", "")
	row := Row{Line: at.Line, Column: at.Column, Request: line, Caller: p.caller, Expected: p.expect.String(), Got: Describe(walk), OK: p.expect.Holds(walk)}
	if !row.OK {
		row.Because, row.Try = because(walk, p.expect), r.try(t, line, p.caller)
	}
	return row
}

// because says why a walk went as it did, and not as expected.
func because(w *gateway.Walk, expect *Expectation) []string {
	var lines []string
	add := func(who string, texts ...string) {
		for _, text := range texts {
			if text != "" {
				lines = append(lines, who+": "+text)
			}
		}
	}
	if r := w.Refusal; r != nil {
		add(r.By, r.Message, r.Detail)
	}
	for _, s := range w.Policies {
		switch {
		case w.Refusal != nil && s.Verdict != gateway.Refuses:
			continue
		case s.Verdict == gateway.WouldRefuse:
			add(s.Policy, fmt.Sprintf("would refuse with %d %s, but only observes", s.Refusal.Status, s.Refusal.Code), s.Refusal.Detail)
		}
		for _, text := range s.Says {
			if w.Refusal == nil || text != w.Refusal.Message { // which is there already
				add(s.Policy, text)
			}
		}
	}
	if w.Passes() && w.Answer.Status == 0 && expect.wantsAnswer() {
		add(w.Answers.String(), "the status of its answer is not known here")
	}
	return lines
}

// try returns the command that explains a row.
func (r *runner) try(t *Test, line, caller string) []string {
	method, target, _ := strings.Cut(line, " ")
	words := []string{"yett", "explain", "--tests", r.file.path, "--as", caller}
	if r.config != "" {
		words = append(words, "-c", r.config)
	}
	if t.IP.IsValid() {
		words = append(words, "--ip", t.IP.String())
	}
	if l := cmp.Or(t.Listener, r.file.Listener); l != "" {
		words = append(words, "--listener", l)
	}
	for _, h := range t.Headers {
		words = append(words, "-H", h.Name+": "+h.Value)
	}
	if t.Body != "" {
		words = append(words, "-d", t.Body)
	}
	return append(words, method, target)
}
