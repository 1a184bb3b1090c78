package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

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
	missing, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Of what is to be written, it is the folder that isn't there.
	if folder := filepath.Dir(missing.Path); strings.HasPrefix(err.Error(), "open the ") && !isThere(folder) {
		return fmt.Errorf("%w; make its folder: mkdir -p %s", err, printable(quote(folder)))
	}
	return fmt.Errorf("%w; name the file with --config or YETT_CONFIG, or see how one works: yett demo", err)
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
