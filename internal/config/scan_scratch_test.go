package config
import ("testing";"strings";"time";"fmt")
func TestScan(t *testing.T) {
	al := []string{"a", " ", "\n", "|", ">", "-", "?", ":", "'", "\"", "[", "{", ",", "#", "&", "*", "!", "<", "]","}", "\\", "\n ", ": "}
	var pats []string
	for _, a := range al { for _, b := range al { pats = append(pats, a+b); for _, c := range al { pats = append(pats, a+b+c) } } }
	begin := time.Now()
	n := 0
	for i := range pats { p := pats[(i*7919)%len(pats)]
		for _, pre := range []string{"", "a: |\n", "a: \"", "- b\n- "} {
		t0 := time.Now()
		Parse("f", []byte(pre+strings.Repeat(p, 32768/len(p))), nil)
		n++
		if d := time.Since(t0); d > 120*time.Millisecond { fmt.Printf("%q %q %v\n", pre, p, d) } }
		if time.Since(begin) > 100*time.Second { break }
	}
	fmt.Println(n, len(pats)*4)
}
