package meter

import (
	"math"
	"time"

	"yett/internal/store"
)

// leaseModel is the store's arithmetic for one key, with times in whole microseconds.
type leaseModel struct {
	rule    store.Rule
	entries []leaseEntry // SlidingWindow
	first   int64        // FixedWindow
	count   int64
	spent   float64 // TokenBucket
	at      int64
	opened  []int64 // when each fixed window began
	calls   int
}

type leaseEntry struct{ first, last, count int64 }

// take answers a Spend.
func (m *leaseModel) take(now int64, t *store.Take) {
	m.calls++
	switch m.rule.Algorithm {
	case store.SlidingWindow:
		m.sliding(now, t)
	case store.FixedWindow:
		m.fixed(now, t)
	case store.TokenBucket:
		m.bucket(now, t)
	}
}

func leaseNeed(t *store.Take) int64 {
	if t.Least == 0 {
		return t.Cost
	}
	return t.Least
}

func leaseDuration(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

func (m *leaseModel) sliding(now int64, t *store.Take) {
	w, l := m.rule.Window.Microseconds(), m.rule.Limit
	for len(m.entries) > 0 && m.entries[0].last+w <= now {
		m.count -= m.entries[0].count
		m.entries = m.entries[1:]
	}
	if n := len(m.entries); n > 0 {
		now = max(now, m.entries[n-1].first)
	}
	free, need := max(0, l-m.count), leaseNeed(t)
	if t.Fits = free >= need; t.Fits {
		t.Granted = min(t.Cost, free)
		m.slide(now, now+t.Ahead.Microseconds(), t.Granted)
	} else {
		gone := int64(0)
		for _, e := range m.entries {
			if gone += e.count; free+gone >= need {
				t.Wait = leaseDuration(e.last + w - now)
				break
			}
		}
	}
	t.Left = max(0, l-m.count)
	if len(m.entries) > 0 {
		t.More = leaseDuration(m.entries[0].last + w - now)
	}
}

func (m *leaseModel) slide(now, at, n int64) {
	grain := int64(0)
	if m.rule.Limit > store.Steps {
		grain = m.rule.Window.Microseconds() / store.Steps
	}
	m.count += n
	if c := len(m.entries); c > 0 {
		tail := &m.entries[c-1]
		at = max(at, tail.last)
		if now-tail.first < grain || at == tail.last || c == 64 {
			tail.count, tail.last = tail.count+n, at
			return
		}
	}
	m.entries = append(m.entries, leaseEntry{now, at, n})
}

func (m *leaseModel) fixed(now int64, t *store.Take) {
	w := m.rule.Window.Microseconds()
	now = max(now, m.first)
	if now >= m.first+w {
		m.count = 0
	}
	free, need := max(0, m.rule.Limit-m.count), leaseNeed(t)
	if t.Fits = free >= need; t.Fits {
		if m.count == 0 {
			m.first = now
			m.opened = append(m.opened, now)
		}
		t.Granted = min(t.Cost, free)
		m.count += t.Granted
	}
	t.Left = max(0, m.rule.Limit-m.count)
	t.More = leaseDuration(m.first + w - now)
	if !t.Fits {
		t.Wait = t.More
	}
}

func (m *leaseModel) bucket(now int64, t *store.Take) {
	b, rate := float64(m.rule.Burst), float64(m.rule.Limit)/float64(m.rule.Window.Microseconds())
	now = max(now, m.at)
	m.spent = max(0, m.spent-float64(float64(now-m.at)*rate))
	m.at = now
	size := b - float64(float64(t.Ahead.Microseconds())*rate)
	free, need := max(0, math.Floor(size-m.spent+1e-6)), float64(leaseNeed(t))
	if t.Fits = free >= need; t.Fits {
		t.Granted = min(t.Cost, int64(free))
		m.spent += float64(t.Granted)
	} else {
		t.Wait = leaseDuration(max(1, int64(math.Ceil((m.spent+need-size)/rate))))
	}
	left := max(0, math.Floor(b-m.spent+1e-6))
	t.Left = int64(left)
	if left < b {
		t.More = leaseDuration(max(1, int64(math.Ceil((m.spent-(b-left-1))/rate))))
	}
}
