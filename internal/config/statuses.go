package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Statuses is a range of HTTP statuses, both ends included.
type Statuses struct{ From, To int }

// Has tells whether the status is in the range.
func (s Statuses) Has(status int) bool { return s.From <= status && status <= s.To }

// ParseStatuses reads statuses, such as 401 or 400-599. The hint says what is
// wrong; it is "" when nothing is.
func ParseStatuses(text string) (s Statuses, hint string) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var ok1, ok2 bool
	s.From, ok1 = parseStatus(first)
	s.To, ok2 = parseStatus(last)
	switch {
	case len(text) == 3 && strings.EqualFold(text[1:], "xx") && '1' <= text[0] && text[0] <= '5':
		return s, fmt.Sprintf("write %c00-%c99", text[0], text[0])
	case !ok1 || !ok2:
		return s, "write one such as 401, or from-to such as 400-599; statuses are 100 to 599"
	case s.From > s.To:
		return s, fmt.Sprintf("write %d-%d", s.To, s.From)
	}
	return s, ""
}

func parseStatus(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) == 3 && 100 <= n && n <= 599
}
