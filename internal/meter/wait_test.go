package meter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func hold(t *testing.T, m *Meter, w Waiter, claims ...Claim) (*Call, bool) {
	c := m.Call()
	c.Claims = append(c.Claims, claims...)
	m.Take(w, c, time.Now())
	return c, !c.refused()
}

func afterClaim(name, key string, limit int64) Claim {
	c := rateClaim(name, key, limit)
	c.Kind = After
	return c
}

// One address, whose own limit is 5, holds all places of a limit for everyone while it waits.
func TestWaitersHoldOthersPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMeter(t, nil)
		stop := make(chan struct{})
		for range 20 { // of one address; the service takes long, or the body comes slowly
			go func() {
				c, _ := hold(t, m, client{t}, afterClaim("all", "everyone", 20), afterClaim("ip", "ip:attacker", 5))
				<-stop
				m.End(c)
			}()
		}
		time.Sleep(time.Millisecond)
		begun := time.Now()
		c, ok := hold(t, m, client{t}, afterClaim("all", "everyone", 20), afterClaim("ip", "ip:victim", 5))
		m.End(c)
		t.Logf("victim passes: %v, after %v", ok, time.Since(begun))
		if !ok || time.Since(begun) > 0 {
			t.Error("somebody from another address waits, or is refused")
		}
		close(stop)
		synctest.Wait()
	})
}

// 16 keys fill the queue of all.
func TestGlobalQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMeter(t, nil)
		ctx, cancel := context.WithCancel(context.Background())
		for k := range 17 {
			for range 1025 {
				go func() {
					c, _ := hold(t, m, within{ctx}, afterClaim("ip", string(rune('a'+k)), 1))
					<-ctx.Done()
					m.End(c)
				}()
			}
		}
		synctest.Wait()
		one, ok := hold(t, m, within{ctx}, afterClaim("ip", "victim", 1))
		begun := time.Now()
		go func() { time.Sleep(10 * time.Millisecond); m.End(one) }() // a good login of 10 ms
		two, ok2 := hold(t, m, within{ctx}, afterClaim("ip", "victim", 1))
		t.Logf("first %v, second %v after %v", ok, ok2, time.Since(begun))
		if !ok2 {
			t.Error("the victim's second request was refused at once")
		}
		m.End(two)
		cancel()
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

type within struct{ ctx context.Context }

func (r within) Context() context.Context { return r.ctx }
