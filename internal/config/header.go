package config

import (
	"fmt"

	"yett/internal/exchange"
	"yett/internal/problem"
)

// CheckField reports what is wrong with a header field that an operator wants
// the gateway to send: a name that is no token, one that belongs to the
// framing of messages, which is the engine's alone, or a value that no field
// can hold. Path is where the field is, relative to the configuration.
func CheckField(problems *problem.List, path, name, value string) {
	switch {
	case !CheckFieldName(problems, path, name):
	case exchange.KeyOf(name) == exchange.KeyTrailer:
		problems.Addf(path, "remove it", "%s announces fields behind the body, and the gateway adds none", name)
	case !exchange.ValidValue(value):
		problems.Addf(path, "control characters, and blanks at the ends, can't be sent (RFC 9110 section 5.5)",
			"%q can't be the value of a header", value)
	}
}

// CheckFieldName is CheckField for a name alone. It tells whether the name is
// good.
func CheckFieldName(problems *problem.List, path, name string) bool {
	k := exchange.KeyOf(name)
	switch {
	case !exchange.ValidName(name):
		problems.Add(path, fmt.Sprintf("%q can't be the name of a header", name),
			"a name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.1)")
	case k.HopByHop(), k == exchange.KeyContentLength, k == exchange.KeyHost, k == exchange.KeyExpect:
		problems.Add(path, fmt.Sprintf("%s belongs to the connection or the framing of messages", name),
			"the gateway sets it by itself")
	default:
		return true
	}
	return false
}
