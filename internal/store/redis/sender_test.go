package redis

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/store"
	"yett/internal/store/deadline"
)

// blocked is a sender whose server answers only when told so.
func blocked(atOnce int) (s *sender, release chan struct{}, sent *atomic.Int64) {
	release, sent = make(chan struct{}), new(atomic.Int64)
	return &sender{
		deadlines: deadline.New(time.Second), appendKey: func(b []byte, name, key string) []byte { return append(append(b, name...), key...) }, atOnce: atOnce, batch: 8,
		send: func(b *batch) {
			<-release
			sent.Add(int64(len(b.calls)))
		},
	}, release, sent
}

// A server that does not answer keeps nobody longer than the deadline. What was given
// up is not sent later, and there is an end to how much may wait.
func TestSenderIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release, sent := blocked(2)
		asked := &Store{sender: s}
		var late, full atomic.Int64
		var wg sync.WaitGroup
		for range queued + 100 {
			wg.Go(func() {
				begun := time.Now()
				takes := []store.Take{{Name: "limit", Rule: sliding(1, hour), Cost: 1}}
				switch err := asked.Take(t.Context(), begun, takes); {
				case errors.Is(err, deadline.ErrLate) && errors.Is(err, context.DeadlineExceeded) && time.Since(begun) <= time.Second:
					late.Add(1)
				case errors.Is(err, store.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) && time.Since(begun) == 0:
					full.Add(1)
				default:
					t.Errorf("after %v: %v", time.Since(begun), err)
				}
			})
		}
		wg.Wait()
		if full.Load() < 80 || full.Load() > 100 || late.Load()+full.Load() != queued+100 {
			t.Errorf("%d were late, and %d too many", late.Load(), full.Load())
		}
		close(release)
		synctest.Wait()
		if n := sent.Load(); n > 2*8 {
			t.Errorf("%d calls were sent of which nobody waited for most", n)
		}
		if err := s.take(t.Context(), make([]store.Take, 1)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if s.running != 0 || len(s.waiting) != 0 {
			t.Errorf("%d run, %d wait", s.running, len(s.waiting))
		}
	})
}

// Calls that come while others are answered go together, in their order, and no more
// than may.
func TestSenderBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release, _ := blocked(1)
		var sizes []int
		s.send = func(b *batch) {
			<-release
			takes := 0
			for _, c := range b.calls {
				takes += len(c.takes)
			}
			sizes = append(sizes, takes)
		}
		for _, n := range []int{1, 3, 3, 3, 20, 1} {
			go func() { _ = s.take(t.Context(), make([]store.Take, n)) }()
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		if want := []int{1, 6, 3, 20, 1}; len(sizes) != len(want) || sizes[1] != 6 || sizes[3] != 20 {
			t.Errorf("sent were %v, want %v", sizes, want)
		}
	})
}

// Who need not wait any longer does not.
func TestCallerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, release, _ := blocked(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begun := time.Now()
		if err := s.take(ctx, make([]store.Take, 1)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		close(release)
	})
}

// Whoever does not let connections be made, or says nothing on them, holds nobody up.
func TestTakeFromSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, address := range map[string]string{"says nothing": l.Addr().String(), "lets nobody in": crowded(t)} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), Options{Address: address, Timeout: budget})
			if err == nil {
				t.Error("it is there")
			}
			defer s.Close()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					for range 5 {
						askInVain(t, s)
					}
				})
			}
			wg.Wait()
			for range 3 {
				askInVain(t, s) // whose connection is still being made
				err := quick(t, "Add", func() error { return s.Add(t.Context(), "s", store.Entry{Member: "a", Until: time.Now()}) })
				if err == nil {
					t.Error("nobody added something")
				}
			}
		})
	}
}

func askInVain(t *testing.T, s *Store) {
	begun := time.Now()
	if err := s.Take(t.Context(), begun, []store.Take{{Name: "limit", Rule: sliding(1, hour), Cost: 1}}); err == nil {
		t.Error("nobody took something")
	}
	if took := time.Since(begun); took > budget+late {
		t.Errorf("it took %v", took)
	}
}

// crowded is an address whose queue is full: packets to connect are dropped.
func crowded(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 50*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("this system lets connections wait that nobody accepts")
	return ""
}
