package lint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"yett/internal/problem"
)

// leavesOf returns the errors that say something by themselves. Of alternatives, only the
// one that was most likely meant is told.
func leavesOf(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	switch e.ErrorKind.(type) {
	case *kind.Not:
		return []*jsonschema.ValidationError{e}
	case *kind.OneOf, *kind.AnyOf:
		return likeliest(e)
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leavesOf(cause)...)
	}
	return all
}

// likeliest returns the leaves of the alternative that was most likely meant: that which
// fits best in what tells alternatives apart.
func likeliest(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	depth := len(e.InstanceLocation)
	var best []*jsonschema.ValidationError
	bestScore := [3]int{}
	for _, cause := range e.Causes {
		leaves := leavesOf(cause)
		s := score(leaves, depth)
		if best == nil || slices.Compare(s[:], bestScore[:]) < 0 {
			best, bestScore = leaves, s
		}
	}
	return best
}

// score is lower for better alternatives: fewest misses in what tells them apart, then
// those that got deepest, then fewest leaves.
func score(leaves []*jsonschema.ValidationError, depth int) (s [3]int) {
	for _, leaf := range leaves {
		s[1] = min(s[1], -len(leaf.InstanceLocation))
		if len(leaf.InstanceLocation) > depth+1 {
			continue
		}
		switch k := leaf.ErrorKind.(type) {
		case *kind.Required:
			if slices.Contains(k.Missing, "$ref") { // it was not meant to be a reference
				s[0] += 10
			}
		case *kind.Type, *kind.Enum, *kind.Const, *kind.Pattern:
			s[0]++
		}
	}
	s[2] = len(leaves)
	return s
}

var english = message.NewPrinter(language.English)

// words says what a leaf means, as what comes behind the name of a value, and a hint.
func words(leaf *jsonschema.ValidationError) (what, hint string) {
	switch k := leaf.ErrorKind.(type) {
	case *kind.Required:
		return "has no " + quoted(k.Missing), "add it"
	case *kind.DependentRequired:
		return fmt.Sprintf("has %q but no %s", k.Prop, quoted(k.Missing)), "add it"
	case *kind.AdditionalProperties:
		return "has the unknown key " + quoted(k.Properties), "take it out, or describe it"
	case *kind.FalseSchema:
		return "is not allowed here", "take it out"
	case *kind.Type:
		return fmt.Sprintf("is of type %s where %s is wanted", k.Got, strings.Join(k.Want, " or ")), "write it as such"
	case *kind.Enum:
		return fmt.Sprintf("is %s, which is none of the known values", short(k.Got)), oneOf(k.Got, k.Want)
	case *kind.Const:
		return fmt.Sprintf("is %s", short(k.Got)), "write " + short(k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("is %s, which does not match %s", short(k.Got), k.Want), "write it in that form"
	case *kind.Format:
		return fmt.Sprintf("is %s, which is no %s", short(k.Got), k.Want), "write it in that form"
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, fewer than %d", k.Got, k.Want), "add some, or leave it out"
	case *kind.MinProperties:
		return fmt.Sprintf("has %d keys, fewer than %d", k.Got, k.Want), "add some, or leave it out"
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item twice, as number %d and %d", k.Duplicates[0]+1, k.Duplicates[1]+1), "take one out"
	case *kind.Not:
		return excluded(leaf.SchemaURL)
	case *kind.Minimum:
		return fmt.Sprintf("is %s, less than %s", number(k.Got), number(k.Want)), "write it as wanted"
	case *kind.Maximum:
		return fmt.Sprintf("is %s, more than %s", number(k.Got), number(k.Want)), "write it as wanted"
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, fewer than %d", k.Got, k.Want), "write it as wanted"
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, more than %d", k.Got, k.Want), "write it as wanted"
	case *kind.OneOf:
		return "has two of what excludes each other, such as schema and content", "keep one"
	}
	return "does not fit: " + leaf.ErrorKind.LocalizedString(english), "write it as wanted"
}

// number writes a number as people do.
func number(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// excluded says what a "not" of the official schema means.
func excluded(url string) (what, hint string) {
	switch {
	case strings.Contains(url, "ExampleXORExamples"), strings.Contains(url, "/examples"):
		return "has both example and examples", "keep examples"
	case strings.Contains(url, "SchemaXORContent"):
		return "has both schema and content", "keep one"
	}
	return "has keys that exclude each other", "keep one"
}

func quoted(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(texts, ", ")
}

// oneOf is a hint for a value that should be one of others.
func oneOf(got any, want []any) string {
	known := make([]string, len(want))
	for i, v := range want {
		known[i] = strings.Trim(short(v), `"`)
	}
	text, _ := got.(string)
	return cmp.Or(problem.DidYouMean(text, known), "write one of them")
}

// mostShown is how many bytes of a value a message shows.
const mostShown = 60

// short writes a value as JSON, cut where it is long.
func short(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "such a value"
	}
	if len(text) > mostShown {
		return strings.ToValidUTF8(string(text[:mostShown]), "") + "..."
	}
	return string(text)
}
