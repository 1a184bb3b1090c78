package sample

import (
	"strings"

	"yett/internal/exchange"
)

// quality returns how much an answer of a media type is wanted by an Accept field, from 0,
// not at all, to 1000 (RFC 9110 section 12.5.1). The range that is most specific counts.
// Parameters of a range other than q have to be those of the type. A field that can't be
// read wants nothing.
func quality(accept, mediaType string) int {
	if accept == "" || accept == "*/*" || accept == mediaType {
		return 1000
	}
	best, q := -1, 0
	for accept != "" {
		var element string
		element, accept = exchange.CutUnquoted(accept, ',')
		if specific, own := rangeOf(trim(element), mediaType); specific > best {
			best, q = specific, own
		}
	}
	return q
}

// rangeOf returns how specific a media range is for a type, -1 where it does not fit, and
// its quality.
func rangeOf(element, mediaType string) (specific, q int) {
	media, params := exchange.CutUnquoted(element, ';')
	essence, own := exchange.CutUnquoted(mediaType, ';')
	if params != "" || own != "" { // blanks stand around a semicolon only
		media, essence = trim(media), trim(essence)
	}
	slash := strings.IndexByte(media, '/')
	switch {
	case slash < 0:
		return -1, 0
	case len(media) == len(essence) && strings.EqualFold(media, essence):
		specific = 2
	case media == "*/*":
		specific = 0
	case slash > 0 && media[slash:] == "/*" && len(essence) > slash && strings.EqualFold(essence[:slash+1], media[:slash+1]):
		specific = 1
	default:
		return -1, 0
	}
	q = 1000
	for params != "" {
		var p string
		p, params = exchange.CutUnquoted(params, ';')
		name, value, _ := strings.Cut(trim(p), "=")
		switch {
		case strings.EqualFold(name, "q"):
			return specific, qvalue(value)
		case name == "":
		case hasParam(own, name, value):
			specific++
		default:
			return -1, 0
		}
	}
	return specific, q
}

func hasParam(params, name, value string) bool {
	for params != "" {
		var p string
		p, params = exchange.CutUnquoted(params, ';')
		n, v, _ := strings.Cut(trim(p), "=")
		if strings.EqualFold(n, name) && strings.EqualFold(strings.Trim(v, `"`), strings.Trim(value, `"`)) {
			return true
		}
	}
	return false
}

// qvalue reads a weight: 0 or 1 with up to three decimals (RFC 9110 section 12.4.2). One
// that is malformed is 0.
func qvalue(s string) int {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0
	}
	q := 0
	for i := range 3 {
		q *= 10
		if i < len(decimals) {
			if decimals[i] < '0' || decimals[i] > '9' {
				return 0
			}
			q += int(decimals[i] - '0')
		}
	}
	if whole == "1" {
		return 1000
	}
	return q
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
