package redis

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
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
