package plan

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"yett/internal/config"
	"yett/internal/exchange"
)

// hidden stands where a secret is.
const hidden = "(hidden)"

// manner says how a value is told.
type manner struct {
	hidden bool // never shown
	// contents may be anything, a secret too: it is shown when it stands in the file.
	contents bool
	// headers are values by the names of header fields: some of the names mean secrets.
	headers   bool
	unordered bool // a list whose order means nothing
	single    bool // a list whose items are told one by one
	noZero    bool // zero can't be written: it means that nothing is
}

var plain = manner{}

// named is how to tell what has a name, in a mapping of values.
func (s manner) named(name string) manner {
	s.hidden = s.hidden || s.headers && exchange.SecretName(name)
	return s
}

// mannerOf is how to tell a field. A test knows all fields that could need a line here.
func mannerOf(t reflect.Type, f reflect.StructField, outer manner) manner {
	s := manner{hidden: outer.hidden, contents: outer.contents, noZero: !zeroFits(f.Tag.Get("min"))}
	switch t.String() + "." + f.Tag.Get("yaml") {
	case "config.KeySource.secret", "config.Sticky.secret", "config.Redis.password", "config.Sentinel.password",
		"config.Route.headers", "config.Route.query":
		s.hidden = true
	case "config.Fallback.headers", "respond.Config.headers", "secureheaders.Config.set":
		s.contents, s.headers = true, true
	case "config.Fallback.body", "respond.Config.text", "respond.Config.json":
		s.contents = true
	case "config.Service.targets":
		s.single = true
	case "config.Config.trusted_proxies", "config.Config.identity_headers", "config.Listener.protocols",
		"config.Route.host", "config.Route.path", "config.Route.methods", "config.Route.allow_encoded",
		"config.Issuer.audience", "config.Issuer.required_claims", "config.Issuer.types", "config.KeySource.algorithms",
		"config.Role.includes", "config.Limit.for", "config.Limit.except", "config.Limit.counts", "config.CallerLimit.for",
		"config.Mirror.methods", "cors.Config.origins", "cors.Config.methods", "cors.Config.headers", "cors.Config.expose",
		"jwt.Config.issuers", "ratelimit.Config.limits", "rbac.Config.any_role", "rbac.Config.exact_role",
		"rbac.Grants.all_of", "rbac.Grants.any_of", "secureheaders.Config.remove":
		s.unordered = true
	}
	return s
}

// zeroFits tells whether zero is at least as much as a bound, as that is written.
func zeroFits(least string) bool { return strings.Trim(least, "0s%") == "" }

// public returns what may be shown of a word.
func (d *differ) public(on side, path, text string, s manner) string {
	switch {
	case text == "", s.noZero && (text == "0" || text == "0s"):
		return ""
	case s.hidden, s.contents && on.filled(path):
		return hidden
	}
	return readable(public(text))
}

// userInfo finds the credentials in a URL, signedToken a token wherever it stands (RFC 7515 section
// 7.1).
var (
	userInfo    = regexp.MustCompile(`://[^/?#\s]*@`)
	signedToken = regexp.MustCompile(`eyJ[\w-]{6,}\.[\w-]+\.[\w-]*`)
	queryPair   = regexp.MustCompile(`([?&])([^=&#\s]+)=([^&#\s]+)`)
)

// public copies a text without what looks like a secret: credentials and telling query values of a
// URL, and tokens.
func public(text string) string {
	text = userInfo.ReplaceAllString(text, "://"+hidden+"@")
	text = signedToken.ReplaceAllString(text, hidden)
	return queryPair.ReplaceAllStringFunc(text, func(pair string) string {
		parts := queryPair.FindStringSubmatch(pair)
		if exchange.SecretName(parts[2]) {
			return parts[1] + parts[2] + "=" + hidden
		}
		return pair
	})
}

// readable has a text fit into one line.
func readable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// wordText writes a word as an operator does.
func wordText(v reflect.Value) string {
	if n, ok := v.Interface().(config.Node); ok {
		return nodeText(n)
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

// nodeText writes a part of a document in one line, as JSON.
func nodeText(n config.Node) string {
	text, err := json.Marshal(jsonValue(n))
	if err != nil {
		return fmt.Sprint(n.Value()) // there is no such value
	}
	return string(text)
}

// jsonValue is a part of a document in Go's own types.
func jsonValue(n config.Node) any {
	switch v := n.Value().(type) {
	case []config.Node:
		all := make([]any, len(v))
		for i := range v {
			all[i] = jsonValue(v[i])
		}
		return all
	case config.Mapping[config.Node]:
		all := make(map[string]any, len(v))
		for _, e := range v {
			all[e.Name] = jsonValue(e.Value)
		}
		return all
	default:
		return v
	}
}

// The longest text of a field, and how much of it stands before the first difference, in
// characters.
const (
	longest = 72
	before  = 20
)

// shorten clips long texts so that their first difference is seen.
func shorten(from, to string) (string, string) {
	a, b := []rune(from), []rune(to)
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	if len(a) <= longest && len(b) <= longest || from == "" || to == "" {
		same = 0
	}
	return clip(a, same-before), clip(b, same-before)
}

func clip(text []rune, from int) string {
	out := ""
	if from > 0 {
		out, text = "…", text[min(from, len(text)):]
	}
	if len(text) > longest {
		return out + string(text[:longest]) + "…"
	}
	return out + string(text)
}
