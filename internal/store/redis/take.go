package redis

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"yett/internal/store"
)

//go:embed take.lua
var takeScript string

// takeScriptAt is takeScript with the clock in ARGV[2], in microseconds since 1970.
// What it writes stays an hour longer than it counts, by a clock that may stand.
func takeScriptAt() string {
	const clock, ours = "local clock = redis.call('TIME')\nlocal time, grace = clock[1] * 1000000 + clock[2], 0\n", "local time, grace = tonumber(ARGV[2]), 3600000\n"
	if !strings.Contains(takeScript, clock) {
		panic("take.lua reads the clock in another way")
	}
	return strings.Replace(takeScript, clock, ours, 1)
}

const (
	// asked and answered are how long a take is in bytes, on its way there and back.
	asked, answered = 3 + 6*8, 1 + 4*8
	// maxTakes is the most that one call can have.
	maxTakes = 255
)

// appendLimitKey appends where a limit keeps what it has counted under a key. Limits with
// the same key are on the same node of a cluster.
func (s *Store) appendLimitKey(b []byte, name, key string) []byte {
	b = append(append(b, s.o.Prefix...), "limit:"...)
	b = append(append(b, name...), ":{"...)
	return append(append(b, key...), '}')
}

// Take implements store.Store. It returns within Options.Timeout, or up to an eighth
// of that sooner.
func (s *Store) Take(ctx context.Context, _ time.Time, takes []store.Take) error {
	if len(takes) == 0 {
		return nil
	}
	if err := check(takes); err != nil {
		return err
	}
	if err := s.sender.take(ctx, takes); err != nil {
		return fmt.Errorf("take from %s: %w", s.o, plain(err))
	}
	return nil
}

// check refuses what the arithmetic was not made for.
func check(takes []store.Take) error {
	if len(takes) > maxTakes {
		return fmt.Errorf("a call has %d takes, at most %d can be counted at once", len(takes), maxTakes)
	}
	for i := range takes {
		if t := &takes[i]; t.Rule.Limit < 1 || t.Rule.Window < time.Microsecond || t.Cost < 1 || t.Rule.Algorithm > store.TokenBucket || t.Action > store.Return {
			return fmt.Errorf("the take of limit %s makes no sense: %+v", t.Name, t.Rule)
		}
	}
	return nil
}

// appendTake appends a take as take.lua reads it.
func appendTake(b []byte, t *store.Take) []byte {
	soft := byte(0)
	if t.Soft {
		soft = 1
	}
	b = append(b, byte(t.Action), byte(t.Rule.Algorithm), soft)
	for _, n := range [...]int64{t.Rule.Limit, t.Rule.Burst, t.Cost, t.Least, t.Rule.Window.Microseconds(), t.Ahead.Microseconds()} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(n)))
	}
	return b
}

// appendCall appends a call as take.lua reads it.
func appendCall(b []byte, takes []store.Take) []byte {
	b = append(b, byte(len(takes)))
	for i := range takes {
		b = appendTake(b, &takes[i])
	}
	return b
}

var errAnswer = errors.New("it answers what can't be understood")

// readCall reads into takes what take.lua answers, and returns what follows.
func readCall(answer string, takes []store.Take) (rest string, err error) {
	if len(answer) < len(takes)*answered {
		return "", errAnswer
	}
	for i := range takes {
		readTake(answer[i*answered:], &takes[i])
	}
	return answer[len(takes)*answered:], nil
}

func readTake(answer string, t *store.Take) {
	t.Fits = answer[0] == 1
	t.Granted, t.Left = int64(number(answer[1:])), int64(number(answer[9:]))
	t.More, t.Wait = duration(number(answer[17:])), duration(number(answer[25:]))
}

// number reads a float64 in little endian.
func number(s string) float64 {
	var bits uint64
	for i := range 8 {
		bits |= uint64(s[i]) << (8 * i)
	}
	return math.Float64frombits(bits)
}

// longest is what duration returns at most: others may be added to it.
const longest = math.MaxInt64 / 2

// duration turns microseconds into a Duration, longest where they are more.
func duration(µs float64) time.Duration {
	if µs < longest/1000 {
		return time.Duration(µs) * time.Microsecond
	}
	return longest
}

// Forget implements store.Store.
func (s *Store) Forget(ctx context.Context, name, key string) error {
	err := s.within(ctx, func(ctx context.Context, client rueidis.Client) error {
		return client.Do(ctx, client.B().Del().Key(string(s.appendLimitKey(nil, name, key))).Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("write to %s: %w", s.o, plain(err))
	}
	return nil
}
