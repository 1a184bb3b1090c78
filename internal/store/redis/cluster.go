package redis

import (
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"yett/internal/store"
	"yett/internal/store/deadline"
)

// sendToCluster lets the nodes of a cluster answer a call: what is in the same slot
// together, the slots side by side. Where one of them may refuse what another one
// spends, all are asked first whether it fits. When one then refuses all the same, or
// fails, the others get back what was spent.
func (s *Store) sendToCluster(b *batch) {
	for _, c := range b.calls {
		client, err := s.client()
		if err != nil {
			c.err = err
			continue
		}
		parts := bySlot(c, func(*store.Take) bool { return true })
		if dependent(c, parts) && !s.fits(client, c) {
			continue
		}
		parts = s.ask(client, c, parts)
		c.err = firstError(parts)
		if c.err != nil || (len(parts) > 1 && store.Refuser(c.takes) != nil) {
			s.giveBack(client, c, parts)
		}
	}
}

// dependent tells whether a part may refuse what another one spends. A call that returns
// something is not looked at before: what fits depends on that.
func dependent(c *call, parts []*part) bool {
	spending, refusing, both := 0, 0, 0
	for _, p := range parts {
		spends, refuses := 0, 0
		for _, at := range p.takes {
			t := &c.takes[at]
			if t.Action == store.Return {
				return false
			}
			if t.Action == store.Spend {
				spends = 1
			}
			if judged(t) && !t.Soft {
				refuses = 1
			}
		}
		spending, refusing, both = spending+spends, refusing+refuses, both+spends*refuses
	}
	return spending*refusing > both // pairs of parts, more than those of a part with itself
}

// judged tells whether it is asked if a take fits, charged whether it is counted in any case.
func judged(t *store.Take) bool { return t.Action == store.Spend || t.Action == store.Look }

func charged(t *store.Take) bool { return t.Action == store.Charge }

// fits tells whether all takes of a call fit by now, and spends nothing. When they do not,
// or nobody waits any more, the call is answered.
func (s *Store) fits(client rueidis.Client, c *call) bool {
	looks := &call{keys: c.keys, takes: slices.Clone(c.takes)}
	for i := range looks.takes {
		t := &looks.takes[i]
		if t.Fits = true; t.Action == store.Spend {
			t.Action = store.Look
		}
	}
	c.err = firstError(s.ask(client, looks, bySlot(looks, judged)))
	if c.err == nil && c.gone.Load() {
		c.err = deadline.ErrLate
	}
	if c.err != nil {
		return false
	}
	if store.Refuser(looks.takes) == nil {
		return true
	}
	s.refuse(client, c, looks)
	return false
}

// refuse answers a call of which looks do not fit, and charges what is charged in any case.
func (s *Store) refuse(client rueidis.Client, c, looks *call) {
	for i := range c.takes {
		if t, look := &c.takes[i], &looks.takes[i]; judged(t) {
			t.Fits, t.Granted, t.Left, t.More, t.Wait = look.Fits, 0, look.Left, look.More, look.Wait
		}
	}
	parts := bySlot(c, charged)
	if len(parts) == 0 {
		return
	}
	c.err = firstError(s.ask(client, c, parts))
	for i := range c.takes {
		if charged(&c.takes[i]) {
			c.show(i, &c.takes[i])
		}
	}
}

// show lets all takes of the same key as take i tell what is left.
func (c *call) show(i int, is *store.Take) {
	for j := range c.takes {
		if c.keys[j] == c.keys[i] {
			c.takes[j].Left, c.takes[j].More = is.Left, is.More
		}
	}
}

// part is those takes of a call that a script answers at once.
type part struct {
	request
	takes []int
}

// ask asks for each part, and returns those that were asked for in the end. While a
// slot moves, part of its keys may be on either side, and a script with several
// is told to try again later; with one it never is.
func (s *Store) ask(client rueidis.Client, c *call, parts []*part) []*part {
	requests := make([]*request, len(parts))
	for i, p := range parts {
		p.arg = string(appendCall(nil, pick(c.takes, p.takes)))
		requests[i] = &p.request
	}
	s.takes.run(client, requests...)
	var done, again []*part
	for _, p := range parts {
		if known, ok := rueidis.IsRedisErr(p.err); ok && known.IsTryAgain() {
			if single := split(p); len(single) > 1 {
				again = append(again, single...)
				continue
			}
		}
		p.read(c)
		done = append(done, p)
	}
	if len(again) > 0 {
		done = append(done, s.ask(client, c, again)...)
	}
	return done
}

// read puts the answer into the call.
func (p *part) read(c *call) {
	if p.err != nil {
		return
	}
	got := pick(c.takes, p.takes)
	if _, p.err = readCall(p.answer, got); p.err != nil {
		return
	}
	for i, at := range p.takes {
		c.takes[at] = got[i]
	}
}

// giveBack returns what was spent by a call that is not to be counted.
func (s *Store) giveBack(client rueidis.Client, c *call, parts []*part) {
	var back []*part
	var spent []int
	returns := &call{keys: c.keys, takes: append([]store.Take(nil), c.takes...)}
	for _, p := range parts {
		for i, at := range p.takes {
			t := &returns.takes[at]
			if p.err != nil || t.Action != store.Spend || t.Granted == 0 {
				continue
			}
			t.Action, t.Cost, t.Least, t.Ahead = store.Return, t.Granted, 0, 0
			back = append(back, &part{request: request{keys: p.keys[i : i+1]}, takes: []int{at}})
			spent = append(spent, at)
		}
	}
	if len(back) == 0 {
		return
	}
	s.ask(client, returns, back)
	for _, at := range spent {
		c.takes[at].Granted = 0
		c.show(at, &returns.takes[at])
	}
}

// bySlot makes parts of those takes that are wanted: one of all that is in the same slot.
// They have keys of their own, because those that are given back to a node in vain are in no
// call with an error.
func bySlot(c *call, wanted func(*store.Take) bool) []*part {
	var parts []*part
	slots := make(map[uint16]*part, len(c.keys))
	for i, key := range c.keys {
		if !wanted(&c.takes[i]) {
			continue
		}
		n := slot(key)
		p := slots[n]
		if p == nil {
			p = new(part)
			slots[n], parts = p, append(parts, p)
		}
		p.keys, p.takes = append(p.keys, strings.Clone(key)), append(p.takes, i)
	}
	return parts
}

// split makes a part of each key.
func split(p *part) []*part {
	var parts []*part
	for i, key := range p.keys {
		var of *part
		for _, other := range parts {
			if other.keys[0] == key {
				of = other
			}
		}
		if of == nil {
			of = new(part)
			parts = append(parts, of)
		}
		of.keys, of.takes = append(of.keys, key), append(of.takes, p.takes[i])
	}
	return parts
}

func pick(takes []store.Take, which []int) []store.Take {
	some := make([]store.Take, len(which))
	for i, at := range which {
		some[i] = takes[at]
	}
	return some
}

func firstError(parts []*part) error {
	for _, p := range parts {
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// slot is where a cluster keeps a key: CRC-16 (XMODEM) of its first hash tag, or of
// all of it, in 14 bits.
func slot(key string) uint16 {
	if _, tagged, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(tagged, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc & 0x3fff
}
