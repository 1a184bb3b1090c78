package redis

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
)

// minutely are rules of all algorithms that hold 3 a minute.
var minutely = []store.Rule{
	sliding(3, time.Minute),
	{Algorithm: store.FixedWindow, Limit: 3, Window: time.Minute},
	{Algorithm: store.TokenBucket, Limit: 3, Burst: 3, Window: time.Minute},
}

// stateOf is what take.lua writes: entries are a time and how much, for a sliding window.
func stateOf(a store.Algorithm, total, first float64, entries ...float64) string {
	b := []byte{byte(a)}
	if len(entries) > 0 {
		b[0] += 8 // the widest
	}
	for _, n := range append([]float64{total, first}, entries...) {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n))
	}
	return string(b)
}

// milliseconds returns for how long a key is there yet.
func milliseconds(t *testing.T, server *redistest.Server, key string) int {
	t.Helper()
	ms, err := strconv.Atoi(server.Do("PTTL", key)[0][1:])
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// A state with numbers that nothing could have counted does not keep anybody waiting: it
// counts as nothing. It is not in the way of others in the same script, either.
func TestImpossibleNumbers(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Timeout: time.Second})
	now := float64(time.Now().UnixMicro())
	for i, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), 1e300, -1e300, 1e17} {
		for name, state := range map[string]string{
			"first":       stateOf(store.SlidingWindow, 3, bad, now, 3),
			"last":        stateOf(store.SlidingWindow, 3, now, bad, 3),
			"both":        stateOf(store.SlidingWindow, 3, bad, bad, 3),
			"first entry": stateOf(store.SlidingWindow, 3, now, bad, 2, now, 1),
			"fixed":       stateOf(store.FixedWindow, 3, bad),
			"bucket":      stateOf(store.TokenBucket, 3, bad),
		} {
			tk := store.Take{Name: fmt.Sprint(name, i), Key: "key", Rule: minutely[state[0]%4], Cost: 1}
			key := "limit:" + tk.Name + ":{key}"
			server.Do("SET", key, state)
			other := store.Take{Name: tk.Name, Key: "other", Rule: tk.Rule, Cost: 1}
			for range 2 {
				takes := []store.Take{tk, other}
				if err := s.Take(t.Context(), time.Now(), takes); err != nil || !takes[0].Fits || !takes[1].Fits || takes[0].More > time.Minute {
					t.Errorf("%s %v: %v, %+v", name, bad, err, takes)
				}
			}
			if ms := milliseconds(t, server, key); ms < 1 || ms > 60_000 {
				t.Errorf("%s %v: it stays for %d ms", name, bad, ms)
			}
		}
	}
}

// What takes longer than a server can be told is counted all the same, and how long it
// takes can be added to a time.
func TestMoreThanCanBeWaitedFor(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Timeout: time.Second})
	tk := store.Take{Name: "limit", Key: "key", Rule: store.Rule{Algorithm: store.TokenBucket, Limit: 1, Burst: 1e9, Window: 744 * time.Hour}, Cost: 1e9}
	for range 8 {
		charge := tk
		charge.Action = store.Charge
		if got := take(t, s, charge); got.Granted != 1e9 || got.Left != 0 || got.More <= 0 {
			t.Errorf("%+v", got)
		}
	}
	now := time.Now()
	if got := take(t, s, tk); got.Fits || got.Wait < 100*365*24*time.Hour || got.Wait+100*365*24*time.Hour < got.Wait || !now.Add(got.Wait).After(now) {
		t.Errorf("%+v", got)
	}
	if ms := milliseconds(t, server, "limit:limit:{key}"); ms < 62*24*3600_000 || ms > 100*24*3600_000 {
		t.Errorf("it stays for %d ms", ms)
	}
}

// A clock that was ahead for a while, or is behind that of the server before, lets what
// was spent count for as long as if it had been spent by this clock: not longer, and
// everybody is told how long. That is so too when nobody but those who are refused asks.
func TestClockWasAhead(t *testing.T) {
	server := redistest.Start(t)
	s, at := driven(t, Options{Address: server.Address})
	for _, ahead := range []time.Duration{24 * time.Hour, 2 * time.Second} {
		for i, rule := range minutely {
			// The bucket has got back what it gets in the 8 s between the spendings.
			wait := []time.Duration{time.Minute, time.Minute, 52 * time.Second}[i]
			if rule.Algorithm == store.FixedWindow && ahead < 7*time.Second {
				wait = 55 * time.Second // it began in the past of both clocks
			}
			t.Run(fmt.Sprintf("%d %v", rule.Algorithm, ahead), func(t *testing.T) {
				clockWasAhead(t, s, at, rule, ahead, wait)
			})
		}
	}
}

// clockWasAhead spends 3 within 8 s with a clock that is ahead, and goes on with one that
// shows the eighth second: it has to take wait until 3 may be spent.
func clockWasAhead(t *testing.T, s *Store, at func(time.Time), rule store.Rule, ahead, wait time.Duration) {
	now := time.Now().Truncate(time.Microsecond)
	tk := store.Take{Name: t.Name(), Key: "key", Rule: rule, Cost: 1}
	for i := range 3 {
		at(now.Add(ahead + time.Duration(i)*4*time.Second))
		if !take(t, s, tk).Fits {
			t.Fatal("nothing is left")
		}
	}
	now, tk.Cost = now.Add(7*time.Second), 3
	for _, after := range []time.Duration{0, 20 * time.Second, wait - time.Millisecond} {
		at(now.Add(after))
		if got := take(t, s, tk); got.Fits || (got.Wait-wait+after).Abs() > time.Microsecond { // a bucket is a float
			t.Errorf("after %v: %v, wait %v, want %v", after, got.Fits, got.Wait, wait-after)
		}
	}
	at(now.Add(wait + time.Microsecond))
	if got := take(t, s, tk); !got.Fits {
		t.Errorf("after %v it is refused for %v", wait, got.Wait)
	}
}

// A clock that is a little behind changes nothing.
func TestClockIsALittleBehind(t *testing.T) {
	server := redistest.Start(t)
	s, at := driven(t, Options{Address: server.Address})
	now := time.Now().Truncate(time.Microsecond)
	for i, rule := range minutely {
		tk := store.Take{Name: fmt.Sprint(i), Key: "key", Rule: rule, Cost: 3}
		at(now)
		take(t, s, tk)
		before := strings.Join(server.Do("GET", "limit:"+tk.Name+":{key}"), "\n")
		at(now.Add(-time.Second))
		if got := take(t, s, tk); got.Fits || got.Wait != time.Minute {
			t.Errorf("%+v", got)
		}
		if strings.Join(server.Do("GET", "limit:"+tk.Name+":{key}"), "\n") != before {
			t.Errorf("%+v: who is refused changes something", rule)
		}
	}
}

// What had been spent at several times keeps their distance, in one call of several takes
// as well, and entries that are wide.
func TestManyEntriesWereAhead(t *testing.T) {
	s, at := driven(t, Options{Address: redistest.Start(t).Address})
	now := time.Now().Truncate(time.Microsecond)
	rule := sliding(1_000_000_000, time.Hour)
	tk := store.Take{Name: "limit", Key: "key", Rule: rule, Cost: 100_000_000}
	for i := range 10 {
		at(now.Add(24*time.Hour + time.Duration(i)*2*time.Minute))
		take(t, s, tk)
	}
	at(now)
	full := store.Take{Name: "full", Key: "key", Rule: sliding(1, time.Hour), Cost: 1, Action: store.Charge}
	other := full
	other.Action = store.Spend
	takes := []store.Take{full, tk, other}
	if err := s.Take(t.Context(), now, takes); err != nil || takes[1].Fits || takes[1].Wait != 42*time.Minute || takes[1].More != 42*time.Minute {
		t.Errorf("%v, %+v", err, takes[1])
	}
	for i := range 10 {
		at(now.Add(42*time.Minute + time.Duration(i)*2*time.Minute - time.Microsecond))
		look := tk
		look.Action, look.Cost = store.Look, 1
		if got := take(t, s, look); got.Left != int64(i)*100_000_000 || got.More != time.Microsecond {
			t.Errorf("the entry %d: %+v", i, got)
		}
	}
}
