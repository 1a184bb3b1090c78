package control

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"yett/internal/config"
)

const (
	// shortID is how many bytes an ID has; it is written in twice as many letters.
	shortID = 6
	// rounds makes it dear to guess a variable's value from the ID of a configuration that names
	// it: about two milliseconds for each guess. It is made once for each configuration.
	rounds = 1 << 13
	// mostIDs is how many are remembered.
	mostIDs = 64
)

// variables notes which variables a configuration asks for, and what they were.
type variables map[string]*string // nil for one that is not set

// over is an environment that notes what is asked of another one.
func (v variables) over(env config.Env) config.Env {
	return func(key string) (string, bool) {
		value, ok := config.Overlay(env)(key)
		v[key] = nil
		if ok {
			v[key] = &value
		}
		return value, ok
	}
}

const (
	// shortValue is how long a variable's value may be that is told: ports, levels and the like are
	// no secrets, and stand in other words by chance.
	shortValue = 7
	// clipped is after how many characters a problem leaves out the rest of a value.
	clipped = 60
)

// hideIn puts the names of variables in the place of their values: why a configuration is refused
// stands in the log and on the page of health, and any value may be a secret.
func (v variables) hideIn(out *Outcome) {
	var pairs []string
	names := slices.SortedFunc(maps.Keys(v), func(a, b string) int { return len(v.value(b)) - len(v.value(a)) }) // one may be within another
	for _, name := range names {
		value := v.value(name)
		if len(value) <= shortValue {
			continue
		}
		quoted := strconv.Quote(value)
		pairs = append(pairs, value, "${"+name+"}", quoted[1:len(quoted)-1], "${"+name+"}")
		if r := []rune(value); len(r) > clipped {
			pairs = append(pairs, string(r[:clipped-1]), "${"+name+"}")
		}
	}
	if pairs == nil {
		return
	}
	hide := strings.NewReplacer(pairs...)
	out.Problems = slices.Clone(out.Problems)
	for i := range out.Problems {
		p := &out.Problems[i]
		p.What, p.Hint = hide.Replace(p.What), hide.Replace(p.Hint)
	}
	out.Refused = hide.Replace(out.Refused)
}

// value is empty for a variable that is not set.
func (v variables) value(name string) string {
	if v[name] == nil {
		return ""
	}
	return *v[name]
}

// identifier makes IDs of revisions.
type identifier struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]string
}

// of returns the ID of a text with the values of its variables, which it does not reveal. The
// same is the same in every process.
func (i *identifier) of(text []byte, v variables) string {
	h := sha256.New()
	add(h, text)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		add(h, []byte(name))
		if value := v[name]; value != nil {
			add(h, []byte(*value))
		}
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if len(v) == 0 { // there is nothing to guess
		return hex.EncodeToString(sum[:shortID])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	id, ok := i.known[sum]
	if !ok {
		if len(i.known) >= mostIDs || i.known == nil {
			i.known = make(map[[sha256.Size]byte]string)
		}
		id = slow(sum)
		i.known[sum] = id
	}
	return id
}

// add adds a text so that no two lists of texts are the same bytes.
func add(h hash.Hash, text []byte) {
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
	_, _ = h.Write(text)
}

func slow(sum [sha256.Size]byte) string {
	key, err := pbkdf2.Key(sha256.New, string(sum[:]), []byte("revision of a configuration"), rounds, shortID)
	if err != nil { // of parameters that FIPS 140 forbids
		key = sum[:shortID]
	}
	return hex.EncodeToString(key)
}
