package route

import (
	"slices"
	"testing"
)

func TestParams(t *testing.T) {
	for _, tt := range []struct{ paths, want []string }{
		{nil, nil},
		{[]string{"/a"}, nil},
		{[]string{"/a/{id}/b/{other}/**"}, []string{"id", "other", "**"}},
		{[]string{"/a/{id}/{b}", "/{b}/c"}, []string{"b"}},
		{[]string{"/a/{id}", "/b"}, nil},
		{[]string{"/a/{id}", "no pattern"}, nil},
	} {
		if got := Params(tt.paths); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.paths, got, tt.want)
		}
	}
}

func TestHasParent(t *testing.T) {
	for raw, want := range map[string]bool{
		"/": false, "": false, "/a/b": false, "/a/./b": false, "/a//b": false, "/..a": false, "/a..": false, "/...": false, "/.%2": false,
		"/a/../b": true, "/..": true, "..": true, "/a/%2e%2e/b": true, "/a/.%2E": true, "/a/%2E./": true, "/a/%2e": false, "/%2f..": false,
	} {
		if got := HasParent(raw); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}
