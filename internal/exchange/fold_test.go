package exchange

import "testing"

func TestFoldName(t *testing.T) {
	for name, want := range map[string]string{
		"X-User-ID": "x-user-id", "x_USER_id": "x-user-id", "X.User~ID": "x-user-id", "AZaz09": "azaz09",
		"!#$%&'*+-.^_`|~": "---------------", "": "", "@[`{/:": "------", "\xff": "-",
	} {
		if got := FoldName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
