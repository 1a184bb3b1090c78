package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
)

// three is a call of as many limits as a request of the example platform has at most.
func three(key string) []store.Take {
	takes := make([]store.Take, 3)
	for i := range takes {
		takes[i] = store.Take{Name: "limit-" + strconv.Itoa(i), Key: key, Rule: sliding(1e9, hour), Cost: 1}
	}
	return takes
}

// A call allocates the library's answer, and hardly anything besides, by itself and in a batch.
func TestTakeAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools forget at random")
	}
	const most = 2
	s := open(t, Options{Address: redistest.Start(t).Address, Timeout: 10 * time.Second})
	takes := three("user:0123456789")
	n := testing.AllocsPerRun(500, func() {
		if err := s.Take(t.Context(), time.Time{}, takes); err != nil {
			t.Fatal(err)
		}
	})
	if n > most {
		t.Errorf("a call allocates %v times", n)
	}
	b := new(batch)
	for i := range together / len(takes) {
		b.calls = append(b.calls, s.sender.call(three(strconv.Itoa(i))))
	}
	n = testing.AllocsPerRun(500, func() {
		if s.sendBatch(b); b.calls[0].err != nil {
			t.Fatal(b.calls[0].err)
		}
	})
	if n > most {
		t.Errorf("a batch of %d calls allocates %v times", len(b.calls), n)
	}
}

// keeper is a client that holds what it could not send.
type keeper struct {
	rueidis.Client
	fails      bool
	held, were []string
}

func (k *keeper) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	if k.fails {
		for _, word := range cmd.Commands() {
			k.held, k.were = append(k.held, word), append(k.were, strings.Clone(word))
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		ctx = gone
	}
	return k.Client.Do(ctx, cmd)
}

// What the library may still hold after a failure is not written over by later calls.
func TestNothingThatIsHeldIsReused(t *testing.T) {
	s := open(t, Options{Address: redistest.Start(t).Address, Timeout: 10 * time.Second})
	client, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{Client: client}
	s.link.now.Store(&linked{client: k})
	defer s.link.now.Store(&linked{client: client})
	for i := range 20 {
		k.fails = i%2 == 0
		takes := three("user:" + strconv.Itoa(100+i))
		takes[0].Cost = int64(1 + i)
		if err := s.Take(t.Context(), time.Time{}, takes); (err != nil) != k.fails {
			t.Fatal(err)
		}
	}
	if len(k.held) != 10*(3+3+1) || !slices.Equal(k.held, k.were) {
		t.Errorf("what was held has become\n%q, of\n%q", k.held, k.were)
	}
}
