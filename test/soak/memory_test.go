//go:build linux

package soak

import (
	"path/filepath"
	"testing"
	"time"
)

// A cluster that is used and changed for minutes grows nowhere.
func TestGrowth(t *testing.T) {
	if !full {
		t.Skip("takes five minutes: YETT_SOAK=1")
	}
	g := newGateway(t).start(2)
	l := g.startLoad()
	configs := []string{odd, even}
	before := make(map[int]size)
	for i, begun := 0, time.Now(); time.Since(begun) < 5*time.Minute; i++ {
		g.write(configs[i%2])
		g.must("reload", "a")
		if i == 15 { // once everything has been used
			before = g.sizes()
		}
		time.Sleep(2 * time.Second)
	}
	after := g.sizes()
	for pid, words := range g.processes() {
		t.Logf("%s %v: %s before, %s after", filepath.Base(words[0]), words[1:2], before[pid], after[pid])
		if _, had := before[pid]; !had {
			t.Errorf("process %d is new", pid)
			continue
		}
		checkSize(t, before[pid], after[pid])
	}
	if len(before) != len(after) {
		t.Errorf("%d processes were there, and %d are", len(before), len(after))
	}
	l.done()
}

func (g *gateway) sizes() map[int]size {
	g.t.Helper()
	all := make(map[int]size)
	for pid := range g.processes() {
		all[pid] = sizeOf(g.t, pid)
	}
	return all
}
