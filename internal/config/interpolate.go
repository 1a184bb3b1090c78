package config

import (
	"fmt"
	"strings"
)

// maxExpanded bounds the text that one word may become, and maxNested how deep
// one default may stand inside another.
const (
	maxExpanded = 1 << 20
	maxNested   = 16
)

// mistake is a problem without its place.
type mistake struct{ what, hint string }

// expansion puts variables into one text:
//
//	${NAME}             its value; a mistake when it is not set
//	${NAME:-text}       text when it is not set or empty; may hold variables
//	${NAME:?message}    a mistake with that message when it is not set or empty
//	$${                 ${ itself
type expansion struct {
	src string
	at  int
	env Env
	out strings.Builder

	// secret is the first variable whose value went into the text.
	secret string
	// whole tells that the text is one variable and nothing else.
	whole bool
	// mistakes are all variables that are not set, and the first malformed
	// one, behind which nothing is read.
	mistakes  []mistake
	malformed bool
	// unset are those variables that are not set.
	unset []string
}

// expand returns what a text becomes.
func expand(src string, env Env) *expansion {
	x := &expansion{src: src, env: env}
	x.text(0, true)
	return x
}

// text copies up to the end, or inside a variable's default up to the closing
// brace, which it leaves. Nothing is copied when live is false.
func (x *expansion) text(depth int, live bool) {
	for x.at < len(x.src) && !x.malformed {
		rest := x.src[x.at:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			x.copy("${", live)
			x.at += len("$${")
		case strings.HasPrefix(rest, "${"):
			start := x.at
			x.variable(depth+1, live)
			x.whole = start == 0 && x.at == len(x.src) && depth == 0
		case depth > 0 && rest[0] == '}':
			return
		default:
			x.copy(rest[:1], live)
			x.at++
		}
	}
}

func (x *expansion) copy(s string, live bool) {
	if !live {
		return
	}
	if x.out.Len()+len(s) > maxExpanded {
		x.fail("the text grows too long", "at most 1MB after variables are put in")
		return
	}
	x.out.WriteString(s)
}

// fail ends the reading.
func (x *expansion) fail(what, hint string) {
	x.mistakes = append(x.mistakes, mistake{what, hint})
	x.malformed = true
}

// missing notes a variable that is not set.
func (x *expansion) missing(name, hint string) {
	x.unset = append(x.unset, name)
	x.mistakes = append(x.mistakes, mistake{fmt.Sprintf("${%s} is not set", name), hint})
}

// variable reads one ${...}.
func (x *expansion) variable(depth int, live bool) {
	const forms = "write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a literal ${"
	x.at += len("${")
	name := x.name()
	rest := x.src[x.at:]
	switch {
	case name == "":
		x.fail("a variable without a name", forms)
	case depth > maxNested:
		x.fail("variables stand too deep inside one another", fmt.Sprintf("at most %d deep", maxNested))
	case strings.HasPrefix(rest, "}"):
		x.plain(name, live)
	case strings.HasPrefix(rest, ":-"):
		x.at += len(":-")
		x.defaulted(name, depth, live)
	case strings.HasPrefix(rest, ":?"):
		x.at += len(":?")
		x.demanded(name, live)
		return
	case rest == "":
		x.fail(fmt.Sprintf("${%s has no closing brace", name), forms)
	default:
		x.fail(fmt.Sprintf("${%s is not followed by }, :- or :?", name), forms)
	}
	x.at++
}

// name reads letters, digits and underscores, not beginning with a digit.
func (x *expansion) name() string {
	start := x.at
	for x.at < len(x.src) && isNameByte(x.src[x.at], x.at == start) {
		x.at++
	}
	return x.src[start:x.at]
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

// isName tells whether s can be the name of a variable.
func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i], i == 0) {
			return false
		}
	}
	return s != ""
}

// put copies a value of the environment.
func (x *expansion) put(name, value string, live bool) {
	if !live {
		return
	}
	if x.secret == "" {
		x.secret = name
	}
	x.copy(value, true)
}

func (x *expansion) plain(name string, live bool) {
	value, ok := x.env.lookup(name)
	if !ok && live {
		x.missing(name, fmt.Sprintf("set it in the environment or in .env, or write ${%s:-default}", name))
		return
	}
	x.put(name, value, live)
}

func (x *expansion) defaulted(name string, depth int, live bool) {
	value, _ := x.env.lookup(name)
	if value != "" {
		x.put(name, value, live)
	}
	x.text(depth, live && value == "")
	if x.at >= len(x.src) && !x.malformed {
		x.fail(fmt.Sprintf("${%s:- has no closing brace", name), "close it with }")
	}
}

func (x *expansion) demanded(name string, live bool) {
	message, _, closed := strings.Cut(x.src[x.at:], "}")
	if !closed {
		x.fail(fmt.Sprintf("${%s:? has no closing brace", name), "close it with }")
		return
	}
	x.at += len(message) + 1
	value, _ := x.env.lookup(name)
	if value == "" && live {
		x.missing(name, strings.TrimSpace(message))
		return
	}
	x.put(name, value, live)
}
