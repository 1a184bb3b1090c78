package role

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/problem"
)

// parse reads the section roles.
func parse(t testing.TB, yaml string) config.Mapping[config.Role] {
	t.Helper()
	node, err := config.ParseNode("yett.yaml", []byte("roles:\n  "+strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n  ")), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Roles config.Mapping[config.Role] `yaml:"roles"`
	}
	if err := node.Decode(&c).Err(); err != nil {
		t.Fatal(err)
	}
	return c.Roles
}

func compile(t testing.TB, yaml string) *Set {
	t.Helper()
	s, problems := Compile(parse(t, yaml))
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, yaml)
	}
	return s
}

// passes tells whether a role is one of the wanted ones or above.
func passes(s *Set, role string, wanted ...string) bool {
	bit, ok := s.Bit(role)
	return ok && s.AtLeast(wanted...).Has(bit)
}

func ladder(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/ladder.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// On a ladder, a role is everything on its own level and below, and nothing
// else: every pair of the 21 roles.
func TestLadder(t *testing.T) {
	roles := parse(t, ladder(t))
	s := compile(t, ladder(t))
	if s.Len() != 21 {
		t.Fatalf("%d roles", s.Len())
	}
	for _, a := range roles {
		if !s.Known(a.Name) || s.Level(a.Name) != a.Value.Level {
			t.Errorf("%s is known: %v, its level is %d", a.Name, s.Known(a.Name), s.Level(a.Name))
		}
		var closure []string
		for _, b := range roles {
			below := b.Value.Level <= a.Value.Level
			if got := passes(s, a.Name, b.Name); got != below {
				t.Errorf("%s (%d) passes as %s (%d): %v", a.Name, a.Value.Level, b.Name, b.Value.Level, got)
			}
			if below && a.Name != b.Name {
				closure = append(closure, b.Name)
			}
		}
		slices.Sort(closure)
		if got := s.Closure(a.Name); !slices.Equal(got, closure) {
			t.Errorf("%s also is %q, want %q", a.Name, got, closure)
		}
	}
}

func TestClosure(t *testing.T) {
	const families = `
lead: {includes: [senior, reviewer]}
senior: {includes: junior}
junior: {}
reviewer: {}
owner: {level: 90}
clerk: {level: 50, includes: reviewer}
guest: {level: 10}
peer: {level: 50, includes: [clerk, guest]}
helper: {includes: clerk}
`
	s := compile(t, families)
	for name, want := range map[string]string{
		"lead":     "junior reviewer senior",
		"senior":   "junior",
		"junior":   "",
		"reviewer": "",
		"owner":    "clerk guest peer reviewer", // by level, and what those include
		"clerk":    "guest peer reviewer",       // the same level, and what is below
		"guest":    "",
		"peer":     "clerk guest reviewer",
		"helper":   "clerk guest peer reviewer", // no level, but what it includes has one
		"nobody":   "",
		"":         "",
	} {
		if got := strings.Join(s.Closure(name), " "); got != want {
			t.Errorf("%s also is %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(s.Names(), " "); got != "lead senior junior reviewer owner clerk guest peer helper" {
		t.Errorf("names are %q", got)
	}
}

func TestMasks(t *testing.T) {
	s := compile(t, "a: {includes: b}\nb: {includes: c}\nc: {}\nd: {}")
	names := func(m Mask) (out string) {
		for _, name := range s.Names() {
			if bit, _ := s.Bit(name); m.Has(bit) {
				out += name
			}
		}
		return out
	}
	for want, got := range map[string]Mask{
		"abc": s.AtLeast("c"), "ab": s.AtLeast("b"), "abd": s.AtLeast("b", "d"), "a": s.AtLeast("a", "nobody"),
		"c": s.Exactly("c"), "bd": s.Exactly("d", "b", "nobody"), "": s.AtLeast("nobody"),
	} {
		if names(got) != want {
			t.Errorf("%q, want %q", names(got), want)
		}
	}
	for _, m := range []Mask{s.AtLeast(), s.Exactly(), s.Exactly("nobody", ""), nil} {
		if names(m) != "" {
			t.Errorf("%q, want nobody", names(m))
		}
	}
	if all := s.AtLeast("c", "d"); all.Has(-1) || all.Has(4) || all.Has(1000) {
		t.Error("a bit of no role is set")
	}
}

// No roles: nobody is anything, and nothing panics.
func TestNoRoles(t *testing.T) {
	compiled, problems := Compile(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, s := range []*Set{nil, {}, compiled} {
		if s.Len() != 0 || len(s.Names()) != 0 || s.Known("a") || s.Known("") || s.Level("a") != 0 || s.Closure("a") != nil ||
			s.AtLeast("a", "").Has(0) || s.Exactly("a", "").Has(0) {
			t.Errorf("%v has a role", s)
		}
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, roles string
		want        []string // what each problem starts with
	}{
		{"unknown include", "technician: {}\nlead: {includes: [technican]}",
			[]string{`roles.lead.includes[0]: there is no role "technican", did you mean "technician"?`}},
		{"unknown, nothing like it", "a: {includes: [xxxxxxx]}\nb: {}", []string{`roles.a.includes[0]: there is no role "xxxxxxx", known here: b`}},
		{"itself", "a: {includes: [b, a]}\nb: {}", []string{`roles.a.includes[1]: a includes itself, remove it`}},
		{"two", "a: {includes: b}\nb: {includes: a}", []string{`roles.b.includes[0]: roles include each other: a -> b -> a, remove one`}},
		{"three, reached from outside", "start: {includes: a}\na: {includes: b}\nb: {includes: c}\nc: {includes: [start2, a]}\nstart2: {}",
			[]string{`roles.c.includes[1]: roles include each other: a -> b -> c -> a, `}},
		{"two cycles", "a: {includes: b}\nb: {includes: a}\nc: {includes: [a, d]}\nd: {includes: c}",
			[]string{`roles.b.includes[0]: roles include each other: a -> b -> a, `, `roles.d.includes[0]: roles include each other: c -> d -> c, `}},
		{"a cycle up the ladder is one mistake", "a: {level: 1, includes: b}\nb: {level: 2, includes: a}", []string{`roles.b.includes[0]: roles include each other: a -> b -> a`}},
		{"up the ladder", "low: {level: 10, includes: high}\nhigh: {level: 50}",
			[]string{`roles.low.includes[0]: low has level 10 and would be high with level 50, which is low by its level: low -> high -> low, remove the include, or change a level`}},
		{"up the ladder by a role without level", "low: {level: 10, includes: [x, y]}\nx: {}\ny: {includes: z}\nz: {includes: high}\nhigh: {level: 11}",
			[]string{`roles.low.includes[1]: low has level 10 and would be high with level 11, which is low by its level: low -> y -> z -> high -> low, `}},
		{"up the ladder in two steps is said once for each", "a: {level: 1, includes: b}\nb: {level: 2, includes: c}\nc: {level: 3}",
			[]string{`roles.a.includes[0]: a has level 1 and would be b with`, `roles.b.includes[0]: b has level 2 and would be c with`}},
		{"names", "'': {}\n'a b': {}\n'a,b': {}\n\"a\\tb\": {}\n\"a\\u0085b\": {}\n\"a\\u00a0b\": {}\nprüfer: {}\na.b: {}\n'a[0]': {}",
			[]string{`roles.: "" can't be the name of a role, a name has no blank, comma or control character, and is not empty`,
				`roles.a b: "a b" can't be`, `roles.a,b: "a,b" can't be`, "roles.a\tb: \"a\\tb\" can't be", "roles.a\u0085b: ", "roles.a\u00a0b: "}},
		{"all at once", "a: {includes: [a, nobody]}\n'b c': {includes: d}\nd: {includes: 'b c'}\ne: {level: 1, includes: f}\nf: {level: 2}",
			[]string{`roles.b c: `, `roles.a.includes[0]: a includes itself`, `roles.a.includes[1]: there is no role "nobody"`, `roles.d.includes[0]: roles include each other`, `roles.e.includes[0]: e has level 1`}},
		{"the level gives it already", "high: {level: 50, includes: low}\nlow: {level: 10}", nil},
		{"the same level", "a: {level: 50, includes: b}\nb: {level: 50}", nil},
		{"twice", "a: {includes: [b, b, c]}\nb: {includes: c}\nc: {}", nil},
		{"an empty list", "a: {includes: []}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := Compile(parse(t, tt.roles))
			checkProblems(t, problems, tt.want)
			// Whoever asks for a role does not report the mistake again.
			for _, e := range parse(t, tt.roles) {
				if !s.Known(e.Name) || s.Level(e.Name) != e.Value.Level {
					t.Errorf("%q is not known", e.Name)
				}
				s.Closure(e.Name)
				s.AtLeast(e.Name)
			}
		})
	}
}

func checkProblems(t *testing.T, problems problem.List, want []string) {
	t.Helper()
	for i := range max(len(problems), len(want)) {
		switch {
		case i >= len(problems):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("too much: %s", problems[i])
		case !strings.HasPrefix(problems[i].String(), want[i]):
			t.Errorf("got  %s\nwant %s", problems[i], want[i])
		}
	}
}

// Random graphs say the same as the definition, worked out in the plainest
// way: first the relation, then its transitive closure.
func TestAgainstDefinition(t *testing.T) {
	good, bad, graphs := 0, 0, 300
	if raceDetector { // there is one goroutine
		graphs = 30
	}
	for seed := range uint64(graphs) {
		c := random(rand.New(rand.NewPCG(seed, 1)))
		is, cyclic := definition(c)
		s, problems := Compile(c)
		if cyclic != (len(problems) > 0) {
			t.Fatalf("seed %d: cyclic %v, problems %v", seed, cyclic, problems)
		}
		if cyclic {
			bad++
			continue
		}
		good++
		for i, a := range c {
			for j, b := range c {
				if got := passes(s, a.Name, b.Name); got != is[i][j] {
					t.Fatalf("seed %d: %s passes as %s: %v", seed, a.Name, b.Name, got)
				}
			}
		}
	}
	if good < graphs/6 || bad < graphs/6 {
		t.Errorf("%d graphs without and %d with cycles: too few to mean something", good, bad)
	}
}

// random makes roles of which about half include only such as come later.
func random(r *rand.Rand) config.Mapping[config.Role] {
	n := 1 + r.IntN(90)
	c := make(config.Mapping[config.Role], n)
	for i := range c {
		c[i].Name = fmt.Sprintf("r%d", i)
		if r.IntN(3) > 0 {
			c[i].Value.Level = 1 + r.IntN(20)
		}
	}
	if r.IntN(4) > 0 { // the higher come first, and what has no level last
		slices.SortStableFunc(c, func(a, b config.Entry[config.Role]) int { return cmp.Compare(b.Value.Level, a.Value.Level) })
	}
	for range r.IntN(2 * n) {
		i, j := r.IntN(n), r.IntN(n)
		if i > j {
			i, j = j, i
		}
		if i != j {
			c[i].Value.Includes = append(c[i].Value.Includes, c[j].Name)
		}
	}
	return c
}

// definition returns who is whom, and whether roles are each other that are
// not on the same level.
func definition(c config.Mapping[config.Role]) (is [][]bool, cyclic bool) {
	is, included := make([][]bool, len(c)), make([][]bool, len(c))
	for i, a := range c {
		is[i], included[i] = make([]bool, len(c)), make([]bool, len(c))
		for j, b := range c {
			level := b.Value.Level >= 1 && b.Value.Level <= a.Value.Level
			included[i][j] = slices.Contains(a.Value.Includes, b.Name)
			is[i][j] = i == j || level || included[i][j]
		}
	}
	closeOver(is)
	closeOver(included)
	for i := range c {
		for j := range i {
			level := c[i].Value.Level
			same := level >= 1 && level == c[j].Value.Level
			cyclic = cyclic || is[i][j] && is[j][i] && !same || included[i][j] && included[j][i]
		}
	}
	return is, cyclic
}

func closeOver(relation [][]bool) {
	for k := range relation {
		for i := range relation {
			for j := range relation {
				relation[i][j] = relation[i][j] || relation[i][k] && relation[k][j]
			}
		}
	}
}

// As many roles as a configuration can hold are still compiled at once, long
// chains of includes too.
func TestMany(t *testing.T) {
	const n = 4096
	c := make(config.Mapping[config.Role], n)
	for i := range c {
		c[i].Name = fmt.Sprintf("r%d", i)
		if i%2 == 0 {
			c[i].Value.Level = n - i
		}
		if i+1 < n {
			c[i].Value.Includes = config.StringList{fmt.Sprintf("r%d", i+1)}
		}
	}
	s, problems := Compile(c)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := len(s.Closure("r0")); got != n-1 {
		t.Errorf("the first one is %d others", got)
	}
}

func TestNoAllocation(t *testing.T) {
	s := compile(t, ladder(t))
	pass := s.AtLeast("technician")
	text := []byte("technician_lead") // a text that is no constant
	name, ok := string(text), true
	n := testing.AllocsPerRun(100, func() {
		bit, known := s.Bit(name)
		ok = ok && known && pass.Has(bit) && s.Level(name) == 70 && s.Known(name)
	})
	if n != 0 || !ok {
		t.Errorf("%v allocations, passes %v", n, ok)
	}
}

func BenchmarkLookup(b *testing.B) {
	s := compile(b, ladder(b))
	pass := s.AtLeast("technician")
	name := strings.Clone("technician_lead")
	b.ReportAllocs()
	for b.Loop() {
		if bit, ok := s.Bit(name); !ok || !pass.Has(bit) {
			b.Fatal("it has to pass")
		}
	}
}

// What docs/roles.md says about its examples is true.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/roles.md")
	if err != nil {
		t.Fatal(err)
	}
	var sets []*Set
	for block := range strings.SplitSeq(string(text), "```yaml\n") {
		if roles, ok := strings.CutPrefix(block, "roles:\n"); ok {
			roles, _, _ = strings.Cut(roles, "```")
			sets = append(sets, compile(t, strings.ReplaceAll(roles, "\n  ", "\n")))
		}
	}
	if len(sets) != 2 {
		t.Fatalf("%d examples", len(sets))
	}
	if ladder, graph := sets[0], sets[1]; !passes(ladder, "billing_manager", "technician") || passes(graph, "billing_manager", "technician") {
		t.Error("the billing manager is no example")
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		if len(cells) != 4 || !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		name, also := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if got := strings.Join(sets[1].Closure(name), ", "); got != also {
			t.Errorf("%s also is %s, not %s", name, got, also)
		}
	}
	if rows < 5 {
		t.Errorf("%d rows", rows)
	}
}
