package balance

import (
	"strings"
	"testing"
	"time"
)

var stickyKey = []byte("0123456789abcdef0123456789abcdef")

func newSticky(t *testing.T, service string, key []byte, nodes []*Node) *Sticky {
	t.Helper()
	s, err := NewSticky(service, key)
	if err != nil {
		t.Fatal(err)
	}
	s.Update(nodes)
	return s
}

func TestSticky(t *testing.T) {
	n := same(3)
	s := newSticky(t, "api", stickyKey, n)
	for _, n := range n {
		v := s.Value(n)
		if s.Find(v) != n || len(v) != 22 || strings.Contains(v, n.Name) {
			t.Errorf("%q for %s", v, n.Name)
		}
	}
	good := s.Value(n[0])
	other := append([]byte(nil), stickyKey...)
	other[0] ^= 1
	for what, v := range map[string]string{
		"nothing": "", "cut": good[:21], "longer": good + "A", "padded": good + "==", "a name": n[0].Name, "zeros": strings.Repeat("A", 22),
		// The last character has bits that say nothing: all forms but one are refused.
		"another form":    good[:21] + string(next(good[21])),
		"another service": newSticky(t, "web", stickyKey, n).Value(n[0]),
		"names shifted":   newSticky(t, "api1", stickyKey, []*Node{NewNode("0.0.0.1:80", 1)}).Value(n[0]),
		"another key":     newSticky(t, "api", other, n).Value(n[0]),
	} {
		if s.Find(v) != nil {
			t.Errorf("%s: %q finds a target", what, v)
		}
	}
	if same := newSticky(t, "api", stickyKey, same(3)); same.Find(good) == nil || same.Find(good).Name != n[0].Name {
		t.Error("another node does not know the value")
	}
	if got := good; got != "zSh7ecO1k1WLc4kLn0lGrg" {
		t.Errorf("%q: cookies of older versions are lost", got)
	}
}

func next(c byte) byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return letters[strings.IndexByte(letters, c)+1]
}

func TestStickyFollowsTargets(t *testing.T) {
	w := newWorld(t, Settings{}, same(3))
	s := newSticky(t, "api", stickyKey, w.nodes)
	a := w.nodes[0]
	old := s.Value(a)
	w.SetHealthy(a, false, "status 503", w.now)
	if n := s.Find(old); n != a || w.Usable(n, w.now) {
		t.Error("one that is down is found, and not usable")
	}
	w.SetHealthy(a, true, "status 200", w.now)
	if !w.Usable(s.Find(old), w.now) {
		t.Error("it is back")
	}
	w.Update(w.nodes[1:])
	s.Update(w.nodes)
	if s.Find(old) != nil || s.Value(a) != "" || w.Usable(a, w.now) {
		t.Error("a stale value finds a target")
	}
}

// An ejection that has ended makes a target usable again, although nobody picks.
func TestUsableSeesTheEnd(t *testing.T) {
	w := newWorld(t, ejecting, same(2))
	w.fails(w.nodes[0], 3)
	if w.Usable(w.nodes[0], w.now) {
		t.Error("usable while ejected")
	}
	w.after(10 * time.Second)
	if !w.Usable(w.nodes[0], w.now) {
		t.Error("not usable after the ejection")
	}
}

func TestStickyKeyTooShort(t *testing.T) {
	if _, err := NewSticky("api", []byte("secret")); err == nil || !strings.Contains(err.Error(), `"api"`) {
		t.Errorf("error %v", err)
	}
}

func TestStickyAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted")
	}
	n := same(3)
	s := newSticky(t, "api", stickyKey, n)
	if got := testing.AllocsPerRun(100, func() { s.Find(s.Value(n[1])) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
