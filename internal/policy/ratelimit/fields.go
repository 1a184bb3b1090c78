package ratelimit

import (
	"math/bits"
	"strconv"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/store"
)

// fields is how answers tell what is left.
type fields uint8

const (
	legacy fields = iota
	structured
	off
)

// fieldsByListener is that for each listener, or for all of them, where names is nil.
type fieldsByListener struct {
	all   fields
	names map[string]fields
}

// of returns what a listener does.
func (f *fieldsByListener) of(listener string) fields {
	if f.names == nil {
		return f.all
	}
	return f.names[listener]
}

// readFields takes what the listeners do, as the configuration has it.
func (p *plan) readFields(byListener map[string]string) {
	names := make(map[string]fields, len(byListener))
	for name, text := range byListener {
		names[name] = map[string]fields{"structured": structured, "off": off}[text]
	}
	p.fields = fieldsByListener{names: names}
	for _, one := range names {
		p.fields.all = one
	}
	for _, other := range names {
		if other != p.fields.all {
			return
		}
	}
	p.fields.names = nil
}

// removeFields removes what a service says about limits: it knows nothing of ours.
func removeFields(h *exchange.Header) {
	list := h.Fields()
	for i := range list {
		if isRateLimit(&list[i]) {
			h.Filter(func(f *exchange.Field) bool { return !isRateLimit(f) })
			return
		}
	}
}

// isRateLimit tells whether a field is one of RateLimit, its old names, and X-RateLimit-*.
func isRateLimit(f *exchange.Field) bool {
	const name, long = "ratelimit", "x-ratelimit-"
	switch {
	case f.Key != exchange.KeyOther || len(f.Name) < len(name):
		return false
	case f.Name[0]|0x20 == 'x':
		return len(f.Name) > len(long) && exchange.EqualFold(f.Name[:len(long)], long)
	case f.Name[0]|0x20 != name[0] || !exchange.EqualFold(f.Name[:len(name)], name):
		return false
	}
	switch rest := f.Name[len(name):]; len(rest) {
	case 0:
		return true
	case len("-limit"): // and -reset
		return exchange.EqualFold(rest, "-limit") || exchange.EqualFold(rest, "-reset")
	case len("-policy"):
		return exchange.EqualFold(rest, "-policy")
	case len("-remaining"):
		return exchange.EqualFold(rest, "-remaining")
	}
	return false
}

// tell adds what is left to the answer.
func (p *plan) tell(x *exchange.Exchange, t tab) {
	if len(t.Claims) == 0 {
		return
	}
	switch p.fields.of(x.Listener) {
	case legacy:
		p.tellNearest(x, t)
	case structured:
		p.tellAll(x, t)
	}
}

// shows tells whether clients are told about the claim of that place: that it is known what
// is left, and that it refuses.
func (p *plan) shows(t tab, i int) bool {
	c := &t.Claims[i]
	known := c.Verdict == meter.Fits || c.Verdict == meter.Exceeded
	return known && !c.Soft && c.Kind != meter.Flight && p.limits[c.Of].Shown()
}

// tellNearest tells about the limit that is nearest to its end, by the names of
// draft-ietf-httpapi-ratelimit-headers-06.
func (p *plan) tellNearest(x *exchange.Exchange, t tab) {
	best := -1
	for i := range t.Claims {
		if p.shows(t, i) && (best < 0 || t.nearer(i, best)) {
			best = i
		}
	}
	if best < 0 {
		return
	}
	c := &t.Claims[best]
	says := &p.told[c.Of][c.Tier]
	b := x.Bytes(2 * mostDigits)[:0]
	b = strconv.AppendInt(b, max(0, c.Left), 10)
	remaining := len(b)
	b = strconv.AppendInt(b, seconds(c.More), 10)
	text := exchange.View(b)
	x.Response.AddFields([]exchange.Field{
		{Name: "RateLimit-Policy", Value: says.policy},
		{Name: "RateLimit-Limit", Value: says.quota},
		{Name: "RateLimit-Remaining", Value: text[:remaining]},
		{Name: "RateLimit-Reset", Value: text[remaining:]},
	})
}

// mostDigits is how many digits a number can have.
const mostDigits = 20

// told is what clients are told of a rule: the most that may be left, and that with the window in
// which it is.
type told struct{ quota, policy string }

// tellRules writes what is told of rules.
func tellRules(rules []store.Rule) []told {
	list := make([]told, len(rules))
	for i := range rules {
		quota, window := quotaOf(&rules[i])
		n := strconv.FormatInt(quota, 10)
		list[i] = told{n, string(appendWindow([]byte(n), window))}
	}
	return list
}

// nearer tells whether a claim is nearer to its end than another: it refuses, or less of its
// whole is left, or it was written first.
func (t tab) nearer(i, than int) bool {
	a, b := &t.Claims[i], &t.Claims[than]
	if a.Refuses() != b.Refuses() {
		return a.Refuses()
	}
	if a.Refuses() && a.Wait != b.Wait { // as Retry-After has it
		return a.Wait > b.Wait
	}
	// Both are up to 1e9, so their products fit.
	left, other := max(0, a.Left)*b.Rule.Size(), max(0, b.Left)*a.Rule.Size()
	return left < other || left == other && a.Of < b.Of
}

// mostInteger is the largest integer that fields can have (RFC 9651 section 3.3.1).
const mostInteger = 999_999_999_999_999

// quotaOf returns what clients are told to be the most that may be left, and within how many
// whole seconds. A bucket that holds more than its limit is told by its size, and by the time in
// which it fills: by its limit less would be there than is left.
func quotaOf(r *store.Rule) (quota, window int64) {
	size := r.Size()
	if size <= r.Limit {
		return r.Limit, seconds(r.Window)
	}
	high, low := bits.Mul64(uint64(size), uint64(r.Window))
	fills, rest := bits.Div64(high, low, uint64(r.Limit)*uint64(time.Second)) // sizes and limits are up to 1e9
	if rest > 0 {
		fills++
	}
	return size, min(int64(fills), mostInteger)
}

// appendWindow appends the window, in seconds.
func appendWindow(b []byte, window int64) []byte {
	return strconv.AppendInt(append(b, ";w="...), window, 10)
}

// tellAll tells about all limits, as draft-ietf-httpapi-ratelimit-headers-10 has it.
func (p *plan) tellAll(x *exchange.Exchange, t tab) {
	n := 0
	for i := range t.Claims {
		if p.shows(t, i) {
			n += len(p.quoted[t.Claims[i].Of]) + len(", ;q=;w=") + 2*mostDigits
		}
	}
	if n == 0 {
		return
	}
	policies, left := x.Bytes(n)[:0], x.Bytes(n)[:0]
	for l := range p.limits { // in the order in which they are written
		for i := range t.Claims {
			if int(t.Claims[i].Of) != l || !p.shows(t, i) {
				continue
			}
			c := &t.Claims[i]
			policies = append(appendItem(policies, p.quoted[l], ";q="), p.told[c.Of][c.Tier].policy...)
			left = strconv.AppendInt(appendItem(left, p.quoted[l], ";r="), max(0, c.Left), 10)
			left = strconv.AppendInt(append(left, ";t="...), seconds(c.More), 10)
		}
	}
	x.Response.AddField(exchange.Field{Name: "RateLimit-Policy", Value: exchange.View(policies)})
	x.Response.AddField(exchange.Field{Name: "RateLimit", Value: exchange.View(left)})
}

// appendItem appends an item of a list, up to the value of its first parameter (RFC 9651).
func appendItem(b []byte, name, parameter string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	return append(append(b, name...), parameter...)
}
