//go:build linux

package soak

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// spoil makes a configuration wrong, in another way for each number.
func spoil(r *rand.Rand, config string) string {
	lines := strings.Split(config, "\n")
	i := 1 + r.IntN(len(lines)-2)
	switch r.IntN(7) {
	case 0: // a key is misspelt
		lines[i] = strings.Replace(lines[i], ":", "x:", 1)
	case 1: // a line is there twice
		lines[i] += "\n" + lines[i]
	case 2: // the indentation is wrong
		lines[i] = " " + lines[i]
	case 3: // it ends in the middle
		lines = append(lines[:i], lines[i][:r.IntN(len(lines[i])+1)])
	case 4: // a byte is another
		text := []byte(config)
		text[r.IntN(len(text))] = "\x00\t{}[]:,&*#?|-<>=!%@`'\""[r.IntN(23)]
		return string(text)
	case 5: // a name means nobody
		return strings.Replace(config, "service: app", "service: nobody", 1+r.IntN(2))
	default: // a value is nonsense
		if key, _, ok := strings.Cut(lines[i], ": "); ok {
			lines[i] = key + []string{": -1", ": {a: b}", ": [", ": \"", ": nonsense", ": ${NOT_SET}", ": ${"}[r.IntN(7)]
		}
	}
	return strings.Join(lines, "\n")
}

var place = regexp.MustCompile(`yett\.yaml:[1-9]\d*:[1-9]\d*: `)

func TestBadConfigurations(t *testing.T) {
	for name, start := range map[string]func(*gateway){
		"one process": func(g *gateway) { g.run() },
		"cluster":     func(g *gateway) { g.start(2) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			start(g)
			r := rand.New(rand.NewPCG(1, 2))
			before, refused, applied := g.revision(), 0, 0
			for n := times(15, 500); refused < n; {
				bad := spoil(r, odd)
				g.write(bad)
				got := g.do("reload", "a")
				if got.code == 0 { // it was not wrong at all
					applied++
					g.write(even)
					g.must("reload", "a")
					continue
				}
				refused++
				if got.code != 1 || !place.MatchString(got.out+got.stderr) {
					t.Errorf("%s\n%s", got, bad)
				}
				for range 2 { // workers
					if now := g.revision(); now != before {
						t.Fatalf("%s was refused, and revision %s runs:\n%s", before, now, bad)
					}
					g.want("/version", "even")
				}
			}
			t.Logf("%d refused, %d were not wrong", refused, applied)
			g.write(odd)
			g.must("reload", "a")
			g.want("/version", "odd")
		})
	}
}
