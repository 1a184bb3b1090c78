package balance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// leastStickyKey is how many bytes a key for Sticky needs at least.
const leastStickyKey = 16

// Sticky names targets in cookies, so that a client stays with its target. A value tells
// nothing about the target, is the same on all nodes with the same key, and can't be made
// without it.
type Sticky struct {
	service string
	key     []byte
	table   atomic.Pointer[stickyTable]
}

// stickyTable is never written again.
type stickyTable struct {
	values map[*Node]string
	nodes  map[string]*Node
}

// NewSticky returns a Sticky that knows no targets yet. It copies the key, and fails when
// that is too short to be a secret. The same key may be used for other services.
func NewSticky(service string, key []byte) (*Sticky, error) {
	if len(key) < leastStickyKey {
		return nil, fmt.Errorf("sticky sessions of service %q: the key has %d bytes, and needs %d at least", service, len(key), leastStickyKey)
	}
	s := &Sticky{service: service, key: append([]byte(nil), key...)}
	s.table.Store(&stickyTable{})
	return s, nil
}

// Update sets the targets, as the Balancer has them. Values of others find nothing from
// now on.
func (s *Sticky) Update(nodes []*Node) {
	t := &stickyTable{make(map[*Node]string, len(nodes)), make(map[string]*Node, len(nodes))}
	for _, n := range nodes {
		v := s.sign(n.Name)
		t.values[n], t.nodes[v] = v, n
	}
	s.table.Store(t)
}

// sign is HMAC-SHA256 of the names, cut to 128 bits.
func (s *Sticky) sign(target string) string {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte("sticky target 1\x00"))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s.service))))
	m.Write([]byte(s.service))
	m.Write([]byte(target))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

// Value returns what the cookie for a target holds: 22 letters, digits, - and _. It is ""
// for a target that the last Update did not name.
func (s *Sticky) Value(n *Node) string { return s.table.Load().values[n] }

// Find returns the target that a cookie names, or nil. Whether it may be used is for
// Balancer.Usable to say. How long it takes tells nothing that helps to guess: values are
// found by a hash with a secret seed, and the whole value is the signature.
func (s *Sticky) Find(value string) *Node { return s.table.Load().nodes[value] }
