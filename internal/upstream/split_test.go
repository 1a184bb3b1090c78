package upstream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
)

// named makes services that are never called.
func named(n int) []*Service {
	out := make([]*Service, n)
	for i := range out {
		out[i] = &Service{name: fmt.Sprint("next-", i)}
	}
	return out
}

// portions pairs services with parts.
func portions(services []*Service, parts ...uint64) []Portion {
	var out []Portion
	for i, p := range parts {
		out = append(out, Portion{services[i], p})
	}
	return out
}

const percent = AllParts / 100

// Each service has exactly its share of the line, and no place has two.
func TestSplitLine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	services := named(9)
	for range 2000 {
		parts := make([]uint64, 1+random.IntN(8))
		left := uint64(AllParts)
		for i := range parts {
			switch random.IntN(8) {
			case 0:
				parts[i] = 0
			case 1:
				parts[i] = left // nothing is left for main
			default:
				parts[i] = random.Uint64N(left/3 + 1)
			}
			left -= parts[i]
		}
		s := NewSplit(services[8], portions(services, parts...), nil)
		has := make(map[*Service]uint64)
		for i, r := range s.ranges {
			if r.from >= r.to || r.to > AllParts {
				t.Fatalf("%v: range %d is %d to %d", parts, i, r.from, r.to)
			}
			for _, o := range s.ranges[:i] {
				if r.from < o.to && o.from < r.to {
					t.Fatalf("%v: %d to %d and %d to %d overlap", parts, r.from, r.to, o.from, o.to)
				}
			}
			has[r.service] += r.to - r.from
		}
		for i, p := range parts {
			if has[services[i]] != p {
				t.Fatalf("%v: number %d has %d", parts, i, has[services[i]])
			}
		}
		if got := s.Portions(); len(got) != len(parts)+1 || got[len(parts)] != (Portion{services[8], left}) {
			t.Fatalf("%v: the rest is %+v", parts, got[len(parts)])
		}
	}
}

// moves counts which callers a change of shares moves, by "from>to".
func moves(t *testing.T, before, after *Split) map[string]int {
	t.Helper()
	out := make(map[string]int)
	for i := range 20000 {
		x := caller("", fmt.Sprint("user-", i))
		a, b := before.Bound(x), after.Bound(x)
		if again := before.Choose(x); a == nil || again != a {
			t.Fatalf("the same caller got %v and %v", a, again)
		}
		if a != b {
			out[a.name+">"+b.name]++
		}
	}
	return out
}

// A share that grows takes callers of the main service and of nobody else, and all callers
// keep their service otherwise.
func TestSplitGrows(t *testing.T) {
	main, services, by := &Service{name: "main"}, named(4), keyer(t, "user")
	for _, tt := range []struct {
		name          string
		before, after []uint64 // percent
		moved         string
		share         float64 // of the callers that move
	}{
		{"one", []uint64{5}, []uint64{10}, "main>next-0", 0.05},
		{"from nothing", []uint64{0}, []uint64{10}, "main>next-0", 0.1},
		{"to all", []uint64{50}, []uint64{100}, "main>next-0", 0.5},
		{"first of two", []uint64{5, 5}, []uint64{30, 5}, "main>next-0", 0.25},
		{"first of two beyond its half", []uint64{5, 5}, []uint64{90, 5}, "main>next-0", 0.85},
		{"second of two beyond its half", []uint64{30, 30}, []uint64{30, 70}, "main>next-1", 0.4},
		{"one of four", []uint64{10, 5, 5, 5}, []uint64{10, 25, 5, 5}, "main>next-1", 0.2},
		{"one more", []uint64{10, 20}, []uint64{10, 20, 10}, "main>next-2", 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			make := func(shares []uint64) *Split {
				var to []Portion
				for i, s := range shares {
					to = append(to, Portion{services[i], s * percent})
				}
				return NewSplit(main, to, by)
			}
			got := moves(t, make(tt.before), make(tt.after))
			if n := float64(got[tt.moved]) / 20000; len(got) != 1 || math.Abs(n-tt.share) > 0.015 {
				t.Errorf("moved: %v, want %s with %.2f", got, tt.moved, tt.share)
			}
		})
	}
}

// What splits says nothing about which target a caller gets by the same key.
func TestSplitIsApartFromBalancing(t *testing.T) {
	by := keyer(t, "client")
	s := NewSplit(&Service{name: "main"}, portions(named(1), 10*percent), by)
	const boxes = 16
	var upper, lower [boxes]int
	n := 0
	for i := range 100000 {
		x := caller(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "")
		if s.Bound(x).name != "next-0" {
			continue
		}
		key, _ := by.Key(x)
		n++
		upper[key>>60]++
		lower[key%boxes]++
	}
	for i := range boxes {
		if want := float64(n) / boxes; math.Abs(float64(upper[i])-want) > want/5 || math.Abs(float64(lower[i])-want) > want/5 {
			t.Fatalf("of %d callers, by what balancing sees: %v, %v", n, upper, lower)
		}
	}
}

// Without a key it is chance, in the right proportion.
func TestSplitByChance(t *testing.T) {
	main, services := &Service{name: "main"}, named(2)
	for name, by := range map[string]*Keyer{"no key is wanted": nil, "the request has none": keyer(t, "user")} {
		s := NewSplit(main, portions(services, 20*percent, 0), by)
		x := caller("192.0.2.1", "")
		if got := s.Bound(x); got != nil {
			t.Errorf("%s: it always gets %s", name, got.name)
		}
		got := make(map[string]int)
		for range 20000 {
			got[s.Choose(x).name]++
		}
		if len(got) != 2 || math.Abs(float64(got["next-0"])-4000) > 350 { // six deviations
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestParts(t *testing.T) {
	sum := uint64(0)
	for _, text := range []string{"33.3%", "33.3%", "33.4%"} {
		var share config.Share
		if err := share.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := (Portion{Parts: Parts(share)}).Share().String(); got != text {
			t.Errorf("%s has become %s", text, got)
		}
		sum += Parts(share)
	}
	if sum != AllParts {
		t.Errorf("together they are %d", sum)
	}
}

func TestSplitAllocatesNothing(t *testing.T) {
	s := NewSplit(&Service{name: "main"}, portions(named(2), percent, percent), keyer(t, "user"))
	known, unknown := caller("", "u-1"), caller("", "")
	if n := testing.AllocsPerRun(100, func() { s.Choose(known); s.Choose(unknown) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSplit(b *testing.B) {
	for name, x := range map[string]*exchange.Exchange{"key": caller("192.0.2.1", "0190a0b1-7c1e-7000-8000-000000000000"), "chance": caller("", "")} {
		b.Run(name, func(b *testing.B) {
			s := NewSplit(&Service{name: "main"}, portions(named(2), percent, percent), keyer(b, "user"))
			b.ReportAllocs()
			for b.Loop() {
				s.Choose(x)
			}
		})
	}
}
