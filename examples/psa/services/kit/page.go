package kit

import (
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	maxOffset    = 1_000_000_000
)

// Page is the part of a list that a client asks for.
type Page struct{ Limit, Offset int }

// Listing is one page of a list and how much there is in all.
type Listing[T any] struct {
	Items  []T `json:"items"`
	Total  int `json:"total"`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// ParsePage reads ?limit (1 to 200, 50 when absent) and ?offset (from 0).
func ParsePage(query url.Values) (Page, error) {
	var check Check
	page := Page{
		Limit:  number(&check, query, "limit", defaultLimit, 1, maxLimit),
		Offset: number(&check, query, "offset", 0, 0, maxOffset),
	}
	return page, check.Err()
}

func number(check *Check, query url.Values, name string, absent, low, high int) int {
	if !query.Has(name) {
		return absent
	}
	value, err := strconv.Atoi(query.Get(name))
	if err != nil {
		check.Fail(name, "must be a whole number")
		return absent
	}
	check.Range(name, value, low, high)
	return value
}

// Matches reports whether any of the texts contains q, upper and lower case being the same. An empty q matches all.
func Matches(q string, texts ...string) bool {
	q = strings.ToLower(strings.TrimSpace(q))
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), q) {
			return true
		}
	}
	return q == ""
}
