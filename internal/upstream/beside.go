package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream/balance"
)

// bind has an exchange given up when ctx ends. The function that it returns ends that,
// and waits until nobody touches the exchange any more.
func bind(ctx context.Context, x *exchange.Exchange) (unbind func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			x.Abort(exchange.UpstreamTimeout)
		} else {
			x.Abort(exchange.ShuttingDown)
		}
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// askBeside sends a request of the gateway's own, once more where the connection had died
// while it was idle. Nobody counts it. In held is the connection, as long as the head of
// the answer is not here.
func (t *target) askBeside(x *exchange.Exchange, timeout time.Duration, held **conn) outcome {
	for replays := 0; ; replays++ {
		conn, out := t.get(x, nil, replays > 0, timeout)
		if out.reason == nil {
			conn.attempt, conn.response, conn.now = balance.Attempt{}, timeout, time.Time{} // with a look
			*held = conn
			if out = conn.roundTrip(x); out.reason == nil {
				out = conn.accept(x)
			}
			*held = nil
		}
		if out.reason == nil || replays == mostReplays || x.Aborted() != nil || !stale(x, out) {
			return out
		}
	}
}

// giveUp closes a connection in whose use a fault was, if there is one. A second fault ends
// the attempt.
func (c *conn) giveUp() {
	defer func() { _ = recover() }()
	if c != nil && c.x != nil {
		c.abandon()
	}
}

// words says for people why there is no answer, "" when there is. late tells that its head
// had come, whole how long all of it had time, and connect how long the connection.
func (out outcome) words(late bool, whole, connect config.Duration) string {
	switch {
	case out.reason == nil:
		return ""
	case out.reason == exchange.UpstreamTimeout && late:
		return fmt.Sprintf("the answer did not end within %s", whole)
	case out.reason == exchange.UpstreamTimeout:
		return fmt.Sprintf("no answer within %s", whole)
	case out.reason == exchange.ConnectTimeout:
		return fmt.Sprintf("no connection within %s", connect)
	case out.reason == exchange.ConnectFailed:
		return last(out.detail)
	case out.reason == exchange.PoolExhausted:
		return "all connections are in use"
	case late:
		return "the answer broke off"
	case out.reason == exchange.UpstreamReset:
		return "the connection ended before the answer"
	case out.reason == exchange.UpstreamBad:
		return "the answer is no HTTP"
	case out.reason == exchange.UpgradeRefused:
		return "the service switched protocols unasked"
	}
	return out.reason.Name
}

// last returns the last part of an error's text, which is what has happened: what
// is before it says where.
func last(text string) string {
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+len(": "):]
	}
	return text
}
