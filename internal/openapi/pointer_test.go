package openapi

import "testing"

func TestUnescape(t *testing.T) {
	for token, want := range map[string]string{"": "", "a": "a", "a~1b": "a/b", "~01": "~1", "My%20Type": "My Type", "100%": "100%", "%7e1": "/"} {
		if got := Unescape(token); got != want {
			t.Errorf("%q is %q, want %q", token, got, want)
		}
	}
	for _, name := range []string{"~1", "a/b~c", "~~//"} {
		if got := Unescape(Escape(name)); got != name {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}
