package app

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"yett/internal/control"
)

// mutations make another text of one. Lines are those of a YAML file.
var mutations = []func(r *rand.Rand, lines []string) string{
	func(r *rand.Rand, lines []string) string { // a key is misspelt
		return at(r, lines, `^\s*(- )?(\{)?\w+: ?`, func(l string) string {
			i := strings.Index(l, ":")
			return l[:i] + "x" + l[i:]
		})
	},
	func(r *rand.Rand, lines []string) string { // a line is gone
		return at(r, lines, `^\s+\w+: \S`, func(string) string { return "" })
	},
	func(r *rand.Rand, lines []string) string { // a line is there twice
		return at(r, lines, `^\s+\w+: \S`, func(l string) string { return l + "\n" + l })
	},
	func(r *rand.Rand, lines []string) string { // the indentation is wrong
		return at(r, lines, `^\s+\S`, func(l string) string { return strings.Repeat(" ", 1+r.IntN(3)) + l })
	},
	func(r *rand.Rand, lines []string) string { // a value is nonsense
		return at(r, lines, `^\s+\w+: [^{\["|]+$`, func(l string) string {
			i := strings.Index(l, ": ")
			return l[:i] + []string{": -1", ": {a: b}", ": [", ": \"", ": nonsense nobody knows", ": 99999999999999999999", ": &a *b", ": ${NOT_SET}", ": ${"}[r.IntN(9)]
		})
	},
	func(r *rand.Rand, lines []string) string { // a name means nobody
		return at(r, lines, `(service|endpoint|limits|auth|min_role|by): \w+`, func(l string) string {
			return regexp.MustCompile(`(service|endpoint|limits|auth|min_role|by): \w+`).ReplaceAllString(l, "$1: nobody")
		})
	},
	func(r *rand.Rand, lines []string) string { // the file ends in the middle of a line
		i := r.IntN(len(lines))
		return strings.Join(lines[:i], "\n") + "\n" + lines[i][:r.IntN(len(lines[i])+1)]
	},
	func(r *rand.Rand, lines []string) string { // a byte is another
		text := []byte(strings.Join(lines, "\n"))
		text[r.IntN(len(text))] = "\x00\t{}[]:,&*#?|-<>=!%@`'\""[r.IntN(23)]
		return string(text)
	},
}

// at changes one of the lines that are like a pattern.
func at(r *rand.Rand, lines []string, pattern string, change func(string) string) string {
	like := regexp.MustCompile(pattern)
	out := append([]string{}, lines...)
	for range 1000 {
		if i := r.IntN(len(out)); like.MatchString(out[i]) && !strings.HasPrefix(strings.TrimSpace(out[i]), "#") {
			out[i] = change(out[i])
			break
		}
	}
	return strings.Join(out, "\n")
}

var hasPlace = regexp.MustCompile(`(yett\.yaml|\.env):[1-9]\d*:[1-9]\d*: `)

// Whatever somebody has done to a configuration, a running gateway takes it whole, or refuses
// it with all places and is as it was.
func TestMutations(t *testing.T) {
	text, err := os.ReadFile("../../examples/psa/yett.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := strings.ReplaceAll(string(text), `":${PORT:-3000}"`, `"127.0.0.1:0"`)
	vars := func(o *Options) {
		o.Env = func(key string) (string, bool) {
			v, ok := map[string]string{"JWT_SECRET": "0123456789abcdef0123456789abcdeF", "LOG_FILE": "off", "LOG_LEVEL": "error"}[key]
			return v, ok
		}
	}
	p := launch(t, good, vars)
	lines := strings.Split(good, "\n")
	r := rand.New(rand.NewPCG(1, 2))
	enough := 500
	if testing.Short() || raceDetector {
		enough = 100
	}
	refused, applied := 0, 0
	for i := 0; refused < enough; i++ {
		if i == 5000 {
			t.Fatalf("only %d of %d were refused", refused, i)
		}
		mutant := mutations[i%len(mutations)](r, lines)
		p.write(mutant)
		before, snap := p.Config(), p.gateway.Snapshot()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := p.Reload(ctx, control.Proposal{})
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s", err, mutant)
		}
		if out.Applied {
			applied++
			continue
		}
		refused++
		_, refusal := p.control.Current()
		if p.Config() != before || p.gateway.Snapshot() != snap || refusal == nil {
			t.Fatalf("it was refused, and something has changed: %+v", out)
		}
		for _, why := range refusal.Why {
			if !hasPlace.MatchString(why) && !strings.HasPrefix(why, "and ") {
				t.Errorf("no place: %s", why)
			}
		}
		if i%50 == 0 {
			p.want("/health/live", 404, "") // there is no such route, and somebody says so
		}
	}
	t.Logf("%d refused, %d applied", refused, applied)
	p.reload(good)
	p.want("/health", 200, "healthy")
	if _, refusal := p.control.Current(); refusal != nil {
		t.Errorf("%+v", refusal)
	}
	if matches, _ := filepath.Glob(filepath.Join(p.dir, "*")); len(matches) != 1 {
		t.Errorf("refused configurations left files: %v", matches)
	}
}
