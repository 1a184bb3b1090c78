package mock

import (
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi/sample"
)

// preference is what a caller prefers, as far as this policy knows it.
type preference struct {
	// code is 0 for one that is no status.
	code                int
	example             string // a view
	hasCode, hasExample bool
}

// preferred reads the Prefer fields of a request (RFC 7240 section 2). Of a preference that
// is there twice the first one counts. Others are not for this policy.
func preferred(h *exchange.Header) preference {
	var p preference
	if _, ok := h.Lookup("Prefer"); !ok {
		return p
	}
	for _, f := range h.Fields() {
		if !strings.EqualFold(f.Name, "Prefer") {
			continue
		}
		for list := f.Value; list != ""; {
			var element string
			element, list = exchange.CutUnquoted(list, ',')
			element, _ = exchange.CutUnquoted(element, ';') // parameters
			name, value, _ := strings.Cut(element, "=")
			p.add(strings.Trim(name, " \t"), unquote(strings.Trim(value, " \t")))
		}
	}
	return p
}

func (p *preference) add(name, value string) {
	switch {
	case strings.EqualFold(name, "code") && !p.hasCode:
		p.hasCode = true
		if n, err := strconv.Atoi(value); err == nil && len(value) == 3 && n >= 100 && n <= 599 {
			p.code = n
		}
	case strings.EqualFold(name, "example") && !p.hasExample && value != "": // an empty one is as if it were not there
		p.hasExample, p.example = true, value
	}
}

// unquote returns the text of a quoted string, anything else as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// applied says what of the preference was honoured (RFC 7240 section 3), in the document's
// words: an example that is chosen has exactly the name that was asked for.
func (p preference) applied(x *exchange.Exchange, r *sample.Reply) {
	if !p.hasCode && !p.hasExample {
		return
	}
	b := x.Bytes(len("code=123, example=") + 2*len(r.Example) + 2)[:0]
	if p.hasCode {
		b = strconv.AppendInt(append(b, "code="...), int64(r.Status), 10)
	}
	if p.hasExample {
		if p.hasCode {
			b = append(b, ", "...)
		}
		b = appendWord(append(b, "example="...), r.Example)
	}
	if v := exchange.View(b); exchange.ValidValue(v) {
		x.Response.Add("Preference-Applied", v)
	}
}

// appendWord appends a token as it is, and anything else in quotes.
func appendWord(b []byte, s string) []byte {
	if exchange.ValidName(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
