package exchange

import "testing"

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Request-ID": true, "a": true, "!#$%&'*+-.^_`|~09azAZ": true,
		"": false, "a b": false, "a:": false, "a\n": false, "é": false, "a\x00": false, "(a)": false, "a\x7f": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

func TestValidValue(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "a": true, "a b\tc": true, "größe": true,
		" a": false, "a ": false, "\ta": false, "a\r\nb": false, "a\x00": false, "a\x7f": false,
	} {
		if got := ValidValue(value); got != want {
			t.Errorf("ValidValue(%q) = %v", value, got)
		}
	}
}
