package route

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"yett/internal/exchange"
)

// condition asks for a header field or a query value.
type condition struct {
	query bool
	name  string // of a field in lower case
	value string
	any   bool // present is enough
}

// String returns "header x-version=2" or "query debug=*".
func (c condition) String() string {
	kind, value := "header", c.value
	if c.query {
		kind = "query"
	}
	if c.any {
		value = "*"
	}
	return kind + " " + c.name + "=" + value
}

func (c *condition) holds(x *exchange.Exchange) bool {
	if c.query {
		raw, ok := queryValue(x.Query, c.name)
		return ok && (c.any || equalDecoded(raw, c.value))
	}
	value, ok := x.Request.Lookup(c.name)
	return ok && (c.any || value == c.value)
}

// queryValue returns the first value of that name as it came.
func queryValue(query, name string) (string, bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if equalDecoded(key, name) {
			return value, true
		}
	}
	return "", false
}

// equalDecoded tells whether raw, a piece of a query, is want when decoded.
// Broken percent-encoding stands for itself.
func equalDecoded(raw, want string) bool {
	for i := range len(want) {
		if raw == "" {
			return false
		}
		c, n := raw[0], 1
		if c == '+' {
			c = ' '
		} else if d, ok := unhex(raw); ok {
			c, n = d, 3
		}
		if c != want[i] {
			return false
		}
		raw = raw[n:]
	}
	return raw == ""
}

// parseConditions returns the conditions in a fixed order, and for each bad
// one its place in the rule, such as "headers.Host", with the fault.
func parseConditions(headers, query map[string]string, bad func(place string, f *fault)) []condition {
	var list []condition
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lower := strings.ToLower(name)
		if f := headerFault(lower, headers[name], seen[lower]); f != nil {
			bad("headers."+name, f)
			continue
		}
		seen[lower] = true
		list = append(list, condition{name: lower, value: headers[name], any: headers[name] == "*"})
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name == "" {
			bad("query", &fault{"a query value has no name", "write name: value"})
			continue
		}
		list = append(list, condition{query: true, name: name, value: query[name], any: query[name] == "*"})
	}
	slices.SortFunc(list, func(a, b condition) int { return cmp.Compare(a.String(), b.String()) })
	return list
}

func headerFault(name, value string, seen bool) *fault {
	switch {
	case !exchange.ValidName(name):
		return &fault{fmt.Sprintf("%q is no header name", name), "names are letters, digits and -"}
	case name == "host":
		return &fault{"a condition on Host", "use host, which also sees the name without port and in any case"}
	case seen:
		return &fault{fmt.Sprintf("header %q is there twice", name), "case does not matter in header names"}
	case !exchange.ValidValue(value):
		return &fault{fmt.Sprintf("no request has the value %q", value), "header values have no control characters and no blanks at either end"}
	}
	return nil
}

// implies tells whether all of these hold whenever all of those do.
func implies(those, these []condition) bool {
	for _, c := range these {
		if !slices.ContainsFunc(those, func(d condition) bool {
			return c.query == d.query && c.name == d.name && (c.any || c.value == d.value)
		}) {
			return false
		}
	}
	return true
}

// exclude tells whether no request can fit both lists.
func exclude(a, b []condition) bool {
	for _, c := range a {
		if slices.ContainsFunc(b, func(d condition) bool {
			return c.query == d.query && c.name == d.name && !c.any && !d.any && c.value != d.value
		}) {
			return true
		}
	}
	return false
}
