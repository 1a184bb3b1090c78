package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

// mostAsked is how many targets one Get asks at most: one that swallows what it is sent
// must leave time for the next, and the time of many would be too short for any.
const mostAsked = 3

// ErrClosed tells that the service was closed, because the configuration has none like it
// any more.
var ErrClosed = errors.New("the service was closed")

// Ask is a GET of the gateway's own, and what its answer may be.
type Ask struct {
	// Path is what is asked for, with its query.
	Path string
	// Fields go with it. Host comes by the service's rule; where that is the client's, it
	// is the target's own.
	Fields []exchange.Field
	// Most is how many bytes the content of the answer may have.
	Most int64
}

// Page is an answer that is all here. It belongs to the caller.
type Page struct {
	Status int
	Header exchange.Header
	// Body is the content of an answer with a status of 200 to 299, nil for others.
	Body []byte
	// Target is the name of who has answered.
	Target string
}

// Get asks for a page of the service, over the connections that requests take, until ctx
// ends. Nobody counts it: it opens no breaker, ejects no target, uses no budget, and waits in
// no queue but that for a connection. It also asks targets that are not well, after those that
// are, and one after the other, as long as there is no answer or one with a status of 500 or
// above. They share the time until the deadline of ctx, which is that of timeouts.response when
// it has none.
//
// The error says in a few words why there is no page, such as "connection refused". It is
// ErrClosed once the service is closed, and that of ctx when it was cancelled.
func (s *Service) Get(ctx context.Context, ask Ask) (*Page, error) {
	within, cancel := s.bounded(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	s.awaitUntil(within, time.Duration(s.conf.Timeouts.Connect))
	page, err := s.askInTurn(within, &ask)
	switch {
	case err == nil:
		return page, nil
	case s.ctx.Err() != nil:
		return nil, ErrClosed
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	}
	return nil, err
}

// bounded is ctx with a deadline.
func (s *Service) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(s.conf.Timeouts.Response))
}

// askInTurn asks one target after the other.
func (s *Service) askInTurn(ctx context.Context, ask *Ask) (page *Page, err error) {
	order := s.inTurn(time.Now())
	if len(order) == 0 {
		return nil, errors.New("none of its targets could be looked up")
	}
	for i, t := range order {
		next, again := t.page(ctx, ask, portion(ctx, len(order)-i))
		if next.err == nil || page == nil { // an answer says more than that there is none
			page, err = next.page, next.err
		}
		if !again || ctx.Err() != nil {
			break
		}
	}
	return page, err
}

// inTurn returns whom to ask: those that are well first, each time in another order.
func (s *Service) inTurn(now time.Time) []*target {
	order := slices.Clone(s.set.Load().list)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	rank := func(t *target) int {
		if s.balancer.Usable(t.node, now) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b *target) int { return rank(a) - rank(b) })
	return order[:min(len(order), mostAsked)]
}

// portion is how long the next of so many targets may let wait for the head of its answer.
func portion(ctx context.Context, left int) time.Duration {
	deadline, _ := ctx.Deadline()
	return max(time.Until(deadline)/time.Duration(left), time.Millisecond)
}

// paged is what came of asking one target.
type paged struct {
	page *Page
	err  error
}

// page asks one target. again tells that another one may do better. A fault in the gateway
// is an error.
func (t *target) page(ctx context.Context, ask *Ask, patience time.Duration) (got paged, again bool) {
	var held *conn
	s, sound := t.service, false
	x := ask.request(s)
	x.Out.IdleTimeout = patience
	unbind := bind(ctx, x)
	defer func() {
		if fault := recover(); fault != nil {
			s.report("fetching a page", fault)
			held.giveUp()
			got, again = paged{err: errors.New("a fault in the gateway")}, false
		}
		unbind()
		if sound { // else somebody may still hold it
			s.exchanges.Put(x)
		}
	}()
	out := t.askBeside(x, patience, &held)
	if out.reason != nil {
		sound = true
		return paged{err: t.failure(out, patience)}, true
	}
	got, again = t.take(x, ask)
	sound = true
	return got, again
}

// request makes the exchange of a Get.
func (a *Ask) request(s *Service) *exchange.Exchange {
	x := s.exchanges.Get()
	x.Now, x.Method, x.Service = time.Now(), "GET", s.name
	x.Out.Path, x.Query, x.HasQuery = strings.Cut(a.Path, "?")
	x.Request.AddFields(a.Fields)
	s.SetHost(x)
	return x
}

// take copies the answer out of the exchange, and reads its content where that is wanted.
func (t *target) take(x *exchange.Exchange, ask *Ask) (got paged, again bool) {
	defer func() { _ = x.ResponseBody.Close() }()
	page := &Page{Status: x.Status, Target: t.name}
	for _, f := range x.Response.Fields() {
		page.Header.AddField(exchange.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), Key: f.Key})
	}
	if page.Status < 200 || page.Status > 299 {
		return paged{page: page}, page.Status >= 500
	}
	_, whole := x.ResponseBody.Whole()
	size := x.ResponseBody.Size()
	body, err := x.ResponseBody.Buffer(ask.Most)
	switch {
	case errors.Is(err, exchange.ErrBodyTooLarge) && size > ask.Most:
		return paged{err: fmt.Errorf("the answer has %d bytes, more than %s", size, config.Size(ask.Most))}, false
	case errors.Is(err, exchange.ErrBodyTooLarge):
		return paged{err: fmt.Errorf("the answer has more than %s", config.Size(ask.Most))}, false
	case errors.Is(err, exchange.UpstreamTimeout):
		return paged{err: fmt.Errorf("target %s: the answer did not end in time", t.name)}, true
	case err != nil:
		return paged{err: fmt.Errorf("target %s: the answer broke off", t.name)}, true
	case whole:
		body = bytes.Clone(body) // it came with the head and is a view
	}
	page.Body = body
	return paged{page: page}, false
}

// failure says why there is no answer.
func (t *target) failure(out outcome, patience time.Duration) error {
	whole := config.Duration(patience.Round(time.Millisecond))
	return fmt.Errorf("target %s: %s", t.name, out.words(false, whole, min(whole, t.service.conf.Timeouts.Connect)))
}
