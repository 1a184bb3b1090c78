package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"yett/internal/problem"
)

// refusal is a configuration with mistakes in it, and what did not happen
// because of them.
type refusal struct {
	problems    problem.List
	consequence string
}

// Error returns one line for each problem, and a last one that counts them.
func (r refusal) Error() string {
	return fmt.Sprintf("%s\n%s; %s", r.problems.Error(), count(len(r.problems), "problem"), r.consequence)
}

// explain turns the error of loading a configuration into what an operator
// can use.
func explain(err error, consequence string) error {
	if list, ok := errors.AsType[problem.List](err); ok {
		return refusal{problems: list, consequence: consequence}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; name the file with --config or YETT_CONFIG, or see how one works: yett demo", err)
	}
	return err
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
