package access

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/gateway"
	"yett/internal/problem"
)

// Expectation is what is expected for a request: words, of which each has to
// hold.
//
//	pass             nothing refuses it
//	403              the status
//	NOT_FOUND        the code of the refusal
//	no_route         its reason
//	route:crm        the route that takes it; in the same way service, endpoint
//	                 and policy, which is who answers
type Expectation struct {
	words []word
	text  string
}

type word struct{ kind, value string }

// The kinds of words beside those with a colon.
const (
	pass   = "pass"
	status = "status"
	code   = "code"
	reason = "reason"
)

// named are the kinds that are written with a colon.
func named() []string { return []string{"route", "service", "endpoint", "policy"} }

// Shape implements config.Shaped.
func (e *Expectation) Shape() config.Shape {
	return config.Shape{Name: "expectation", Want: "what is expected, such as pass, 403 or 404 NOT_FOUND"}
}

// UnmarshalText implements config.Shaped.
func (e *Expectation) UnmarshalText(text []byte) error {
	out := Expectation{text: strings.Join(strings.Fields(string(text)), " ")}
	if out.text == "" {
		return errors.New("write pass, a status, a code or a reason")
	}
	kinds := make(map[string]bool)
	for w := range strings.FieldsSeq(out.text) {
		parsed, err := parseWord(w)
		if err != nil {
			return err
		}
		kinds[parsed.kind] = true
		out.words = append(out.words, parsed)
	}
	if kinds[pass] && (kinds[code] || kinds[reason]) {
		return errors.New("what is refused does not pass: remove pass or the rest")
	}
	*e = out
	return nil
}

func parseWord(w string) (word, error) {
	kind, name, ok := strings.Cut(w, ":")
	switch {
	case w == pass:
		return word{pass, ""}, nil
	case ok && name != "" && slices.Contains(named(), kind):
		return word{kind, name}, nil
	case ok:
		return word{}, fmt.Errorf("before a colon stands one of %s, behind it a name", strings.Join(named(), ", "))
	}
	if n, err := strconv.Atoi(w); err == nil && 100 <= n && n <= 599 {
		return word{status, w}, nil
	}
	known := []string{pass}
	for _, r := range catalog.Reasons() {
		switch w {
		case r.Code:
			return word{code, w}, nil
		case r.Name:
			return word{reason, w}, nil
		}
		if strings.ToUpper(w) == w {
			known = append(known, r.Code)
		} else {
			known = append(known, r.Name)
		}
	}
	if near := problem.Nearest(w, known); near != "" {
		return word{}, fmt.Errorf("there is no %s: did you mean %q?", w, near)
	}
	return word{}, fmt.Errorf("%s is neither pass, nor a status, nor a code or reason of the reference", w)
}

// ParseExpectation reads an expectation.
func ParseExpectation(text string) (*Expectation, error) {
	e := new(Expectation)
	return e, e.UnmarshalText([]byte(text))
}

// String returns the expectation as it was written.
func (e *Expectation) String() string { return e.text }

// wantsAnswer tells whether the status of what passes is among the words.
func (e *Expectation) wantsAnswer() bool {
	return slices.ContainsFunc(e.words, func(x word) bool { return x.kind == status && x.value < "400" })
}

// Holds tells whether a walk went as expected.
func (e *Expectation) Holds(w *gateway.Walk) bool {
	return !slices.ContainsFunc(e.words, func(x word) bool { return !x.holds(w) })
}

func (x word) holds(w *gateway.Walk) bool {
	switch x.kind {
	case pass:
		return w.Passes()
	case status:
		return strconv.Itoa(w.Answer.Status) == x.value
	case code:
		return w.Refusal != nil && w.Refusal.Code == x.value
	case reason:
		return w.Refusal != nil && w.Refusal.Reason == x.value
	case "route":
		return w.Route != nil && w.Route.Name == x.value
	}
	return w.Answers.Kind == x.kind && w.Answers.Name == x.value
}

// unknown reports a name that the configuration does not have.
func (e *Expectation) unknown(names map[string][]string) (problem.Problem, bool) {
	for _, x := range e.words {
		if slices.Contains(named(), x.kind) && !slices.Contains(names[x.kind], x.value) {
			return problem.Problem{What: fmt.Sprintf("there is no %s %q", x.kind, x.value), Hint: problem.DidYouMean(x.value, names[x.kind])}, true
		}
	}
	return problem.Problem{}, false
}

// Describe says in the words of an expectation how a walk went.
func Describe(w *gateway.Walk) string {
	words := []string{pass}
	if r := w.Refusal; r != nil {
		words = []string{strconv.Itoa(r.Status), r.Code, r.Reason}
	} else if w.Answer.Status != 0 {
		words = append(words, strconv.Itoa(w.Answer.Status))
	}
	if w.Route != nil {
		words = append(words, "route:"+w.Route.Name)
	}
	if w.Answers.Name != "" {
		words = append(words, w.Answers.Kind+":"+w.Answers.Name)
	}
	return strings.Join(words, " ")
}
