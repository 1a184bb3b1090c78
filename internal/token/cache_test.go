package token

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

func TestCacheEnds(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, func(is *config.Issuer) { is.Leeway = config.Duration(time.Second) }), nil)
	token := sign(t, "HS256", w.key("HS256"), good(), nil)
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, ""}, {time.Minute, ""}, {time.Minute + time.Second - 1, ""}, {time.Minute + time.Second, "token_expired"}, {0, ""}} {
		if _, r, _ := v.Verify(token, now.Add(tt.after)); name(r) != tt.want {
			t.Errorf("after %s: %q, want %q", tt.after, name(r), tt.want)
		}
	}
}

// What is remembered is keyed by the whole token, and is no view of it.
func TestCacheKey(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	buffer := []byte(sign(t, "HS256", w.key("HS256"), good(), nil))
	view := exchange.View(buffer)
	if got := refusal(v, view); got != "" {
		t.Fatal(got)
	}
	copied := strings.Clone(view)
	for i := range buffer {
		buffer[i] = '!'
	}
	got, reason, _ := v.Verify(copied, now)
	if reason != nil || got.Identity.Subject != "u-1" || got.Identity.Email != "ada@example.org" {
		t.Errorf("%+v %v", got, reason)
	}
	for i := range len(copied) {
		if refusal(v, copied[:i]+"~"+copied[i+1:]) == "" {
			t.Fatalf("passes with another byte at %d", i)
		}
	}
}

// It stays as large as it is, whoever comes.
func TestCacheIsBounded(t *testing.T) {
	var c cache
	c.init()
	k := &key{}
	for i := range 3 * cacheSets * cacheWays {
		raw := fmt.Sprint("token ", i)
		c.put(&Verified{raw: raw, hash: c.hash(raw), until: now.Add(time.Hour).UnixMilli(), key: k}, 1, now)
	}
	used := 0
	for i := range c.slots {
		if c.slots[i].Load() != nil {
			used++
		}
	}
	if used < cacheSets*cacheWays*9/10 || len(c.slots) != cacheSets*cacheWays {
		t.Errorf("%d of %d places are used", used, len(c.slots))
	}
}

// In a full set, what was used least lately goes, and before that what is over.
func TestCacheReplaces(t *testing.T) {
	var c cache
	c.init()
	k, gone := &key{}, &key{}
	gone.retired.Store(true)
	entry := func(name string, until time.Duration, k *key) *Verified {
		return &Verified{raw: name, hash: 7, until: now.Add(until).UnixMilli(), key: k}
	}
	has := func() (names string) {
		set := c.set(7)
		for i := range set {
			names += set[i].Load().raw
		}
		return names
	}
	for i, name := range []string{"a", "b", "c", "d"} {
		c.put(entry(name, time.Hour, k), 1, now.Add(time.Duration(i)*time.Second))
	}
	c.get("a", 7, now.Unix()+10)
	c.put(entry("e", time.Hour, k), 1, now.Add(11*time.Second))
	if got := has(); got != "aecd" {
		t.Errorf("the least lately used goes: %s", got)
	}
	c.put(entry("f", -time.Hour, k), 1, now.Add(12*time.Second))
	c.put(entry("g", time.Hour, k), 1, now.Add(13*time.Second))
	if got := has(); got != "aegd" {
		t.Errorf("the one that is over goes: %s", got)
	}
	c.put(entry("h", time.Hour, gone), 1, now.Add(14*time.Second))
	c.put(entry("i", time.Hour, k), 1, now.Add(15*time.Second))
	if got := has(); got != "aegi" {
		t.Errorf("the one whose key is gone goes: %s", got)
	}
	c.put(entry("i", time.Hour, k), 1, now.Add(15*time.Second))
	if got := has(); got != "aegi" {
		t.Errorf("a token is there once: %s", got)
	}
}

func TestWarmAllocatesNothing(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	for _, alg := range []string{"HS256", "RS256"} {
		token := sign(t, alg, w.key(alg), good(), nil)
		if n := testing.AllocsPerRun(100, func() { v.Verify(token, now) }); n != 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWallet(b)
	v := verifier(b, issuers(w, nil), nil)
	for _, alg := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		token := sign(b, alg, w.key(alg), good(), nil)
		b.Run(alg+"/warm", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.Verify(token, now)
			}
		})
		b.Run(alg+"/cold", func(b *testing.B) {
			b.ReportAllocs()
			set := v.cache.set(v.cache.hash(token))
			for b.Loop() {
				for i := range set {
					set[i].Store(nil)
				}
				v.Verify(token, now)
			}
		})
	}
}

// forget drops what is remembered.
func (c *cache) forget() {
	for i := range c.slots {
		c.slots[i].Store(nil)
	}
}
