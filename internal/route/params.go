package route

import "slices"

// Params returns the names that every one of the path patterns has a value
// for, ** among them. A pattern that is wrong has none.
func Params(paths []string) []string {
	var common []string
	for i, text := range paths {
		p, f := parsePattern(text)
		if f != nil {
			return nil
		}
		names := p.names()
		if i == 0 {
			common = names
			continue
		}
		common = slices.DeleteFunc(common, func(n string) bool { return !slices.Contains(names, n) })
	}
	return common
}
