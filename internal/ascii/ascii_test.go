package ascii

import "testing"

// Every byte at every place of a text has to be seen, whatever stands beside it.
func TestSimple(t *testing.T) {
	const text = "abcdefghijklmnopqrstzz!z"
	for n := range len(text) + 1 {
		if !Simple(text[:n], ',') {
			t.Errorf("%q is not simple", text[:n])
		}
		for at := range n {
			for c := range 256 {
				s := []byte(text[:n])
				s[at] = byte(c)
				want := '!' <= c && c <= 'z' && c != '%' && c != ','
				if got := Simple(string(s), ','); got != want {
					t.Fatalf("byte %#x at %d of %d: %v", c, at, n, got)
				}
			}
		}
	}
}

func BenchmarkSimple(b *testing.B) {
	for b.Loop() {
		Simple("bbd1e0c4-284c-48b5-b7ae-477e8237382e", ',')
	}
}
