package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

// MaxClaims is how many limits one request can have.
const MaxClaims = 16

// OnLoss is what becomes of a Claim while the store is lost.
type OnLoss uint8

const (
	// Local goes on counting here, with the limit's share for this node.
	Local OnLoss = iota
	// Open lets pass.
	Open
	// Closed refuses.
	Closed
)

// Kind is what a Claim counts.
type Kind uint8

const (
	// Rate counts each request, before it is served.
	Rate Kind = iota
	// After counts a request when its answer is known, if that counts; see
	// Claim.Counts. No more of them run at once than are left, the others wait until
	// it is known what became of those, so that neither are good ones refused
	// nor more bad ones let through than the limit says.
	After
	// Flight counts the requests that run, and takes them back when they end. Each
	// node has its share of the limit. Of Rule there is Limit only.
	Flight
)

// Claim is what a request asks of one limit.
type Claim struct {
	// Name is the limit's, Key is who is counted. Key is a view, valid until End.
	Name, Key string
	Kind      Kind
	Rule      store.Rule
	Cost      int64
	// Leased takes from the store in advance, see docs/rate-limits.md.
	Leased bool
	OnLoss OnLoss
	// Soft never refuses: the request goes on as if it had fitted.
	Soft bool
	// Counts tells Settle that the answer counts, for After.
	Counts bool
	// Of and Tier are numbers of whoever asks, which the Meter leaves alone: of which of their
	// limits the claim is, and by which of its rules.
	Of   uint8
	Tier uint32
	// Watch finds sooner where the limit's claims are counted; nil is found by Name.
	Watch *Watch

	// Verdict is what came of it. The numbers below are valid unless it is Unknown.
	Verdict Verdict
	// Left is what may still be spent.
	Left int64
	// More is how long it takes until Left grows, 0 when nothing is counted. Wait is
	// how long until what did not fit would.
	More, Wait time.Duration

	id    id
	lease *spending // in Call.leases, once it was asked for
	held  bool      // a place among those that run
	away  bool      // and it is counted in the store
	// skip tells that nobody is asked about it, lenient that it refuses nothing.
	skip, lenient bool
}

// Verdict is what came of a Claim.
type Verdict uint8

const (
	// Unknown: nobody was asked, or the store is lost and the claim is Open.
	Unknown Verdict = iota
	// Fits: there was enough left.
	Fits
	// Exceeded: there was not.
	Exceeded
	// Lost: the store is lost and the claim is Closed.
	Lost
)

// Refuses tells whether the claim refuses its request.
func (c *Claim) Refuses() bool {
	return !c.Soft && !c.lenient && (c.Verdict == Exceeded || c.Verdict == Lost)
}

// Waiter is who asks: its context ends when it need not wait any longer. It is
// asked for the context only when there is something to wait for.
type Waiter interface{ Context() context.Context }

// Call is what one request asks of all its limits. It is used by one goroutine
// at a time.
type Call struct {
	// Claims are asked in this order.
	Claims []Claim
	// Keys is memory for the keys of Claims.
	Keys []byte
	// Notes are bits of whoever asks, which the Meter leaves alone.
	Notes uint8

	claims [MaxClaims]Claim
	takes  [MaxClaims]store.Take
	index  [MaxClaims]uint8    // of which claim a take is
	leases [MaxClaims]spending // by the place of the claim
}

// Has tells whether a claim is of that kind.
func (c *Call) Has(k Kind) bool {
	for i := range c.Claims {
		if c.Claims[i].Kind == k {
			return true
		}
	}
	return false
}
