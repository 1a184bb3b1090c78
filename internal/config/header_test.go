package config

import (
	"strings"
	"testing"

	"yett/internal/problem"
)

func TestCheckField(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"X-Frame-Options", "DENY", ""},
		{"X-Empty", "", ""},
		{"", "a", `headers: "" can't be the name of a header`},
		{"X Frame", "a", `headers: "X Frame" can't be the name of a header`},
		{"X-A", "a\r\nSet-Cookie: b", `headers: "a\r\nSet-Cookie: b" can't be the value of a header`},
		{"X-A", " a", `headers: " a" can't be the value of a header`},
		{"connection", "close", `headers: connection belongs to the connection or the framing`},
		{"Transfer-Encoding", "chunked", `headers: Transfer-Encoding belongs to the connection or the framing`},
		{"trailer", "X-Sum", `headers: trailer announces fields behind the body`},
		{"Content-Length", "0", `headers: Content-Length belongs to the connection or the framing`},
	}
	for _, tt := range tests {
		var problems problem.List
		CheckField(&problems, "headers", tt.name, tt.value)
		switch got := problems.Error(); {
		case tt.want == "" && got != "", tt.want != "" && len(problems) != 1, !strings.HasPrefix(got, tt.want):
			t.Errorf("%q: %q\n got  %q\n want %q", tt.name, tt.value, got, tt.want)
		}
	}
}
