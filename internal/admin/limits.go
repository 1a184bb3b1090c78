package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/problem"
	"yett/internal/store/memory"
)

const (
	// defaultTop is how many keys of each limit are shown, and mostTop how many at most.
	defaultTop = 10
	mostTop    = 1000
	// longestLimit is how long the name of a limit can be.
	longestLimit = 32
	// forgetTime bounds a reset: a store that does not answer is not asked again for the
	// next limit.
	forgetTime = 2 * time.Second
)

// LimitsState tells how limits count.
type LimitsState struct {
	// Set are the limits of the current snapshot, of which there may be none.
	Set *limit.Set
	// Meter is how they are counted.
	Meter meter.State
	// Held is of how many callers this node keeps something.
	Held memory.Usage
}

// The words for where limits count.
const (
	limitsShared = "shared" // in the store, for all nodes together
	limitsAlone  = "alone"  // on this node, because the store is lost
	limitsMemory = "memory" // on this node, which shares nothing
)

// place says where limits count.
func (s *LimitsState) place() string {
	switch {
	case !s.Meter.Shared:
		return limitsMemory
	case s.Meter.Lost:
		return limitsAlone
	}
	return limitsShared
}

// of returns how a limit is used, zero when nobody has asked it yet.
func (s *LimitsState) of(name string) meter.LimitState {
	for _, l := range s.Meter.Limits {
		if l.Name == name {
			return l
		}
	}
	return meter.LimitState{Name: name}
}

// Limits is the page that shows who uses up limits, and lets them forget.
type Limits struct {
	State State
	// Forget lets a limit forget what it has counted under a key, here in any case; the
	// error says why other nodes go on counting.
	Forget func(ctx context.Context, name, key string) error
	// Log is told who has reset what.
	Log *slog.Logger
}

// LimitsPage is what the endpoint limits shows.
type LimitsPage struct {
	Store LimitsStore `json:"store"`
	// Limits are those of the configuration, in its order.
	Limits []LimitPage `json:"limits"`
}

// LimitsStore is where limits count, and how much this node keeps.
type LimitsStore struct {
	// State is shared, alone or memory; Since is since when.
	State string `json:"state"`
	Since string `json:"since,omitempty"`
	Nodes int64  `json:"nodes"`
	// Losses is how often the store was lost.
	Losses int64 `json:"losses"`
	// Keys is how many callers are kept on this node, Dropped how many were forgotten
	// because there were too many.
	Keys    int64 `json:"keys"`
	Dropped int64 `json:"dropped"`
}

// LimitPage is one limit, as this node has seen it since it runs.
type LimitPage struct {
	Name string `json:"name"`
	// Rule is the limit in words.
	Rule      string `json:"rule"`
	Allowed   int64  `json:"allowed"`
	Refused   int64  `json:"refused"`
	Observed  int64  `json:"observed"`  // would have been refused
	WhileLost int64  `json:"whileLost"` // of all of them, those without the store
	// Nearest are those who are nearest to the limit, MostRefused those whom it has
	// refused most often.
	Nearest     []KeyPage `json:"nearest"`
	MostRefused []KeyPage `json:"mostRefused"`
}

// KeyPage is how one caller uses a limit.
type KeyPage struct {
	Key     string `json:"key"`
	Used    int64  `json:"used"`
	Limit   int64  `json:"limit"`
	Left    int64  `json:"left"`
	Refused int64  `json:"refused"`
	// More is in how many seconds more becomes available, 0 when all of it is.
	More int64 `json:"more"`
}

// ForgottenPage is the answer to a reset.
type ForgottenPage struct {
	Forgotten []Forgotten `json:"forgotten"`
	// Store is written when all nodes forget, memory when there is only this one, and
	// pending when the store does not take it, and still counts for all others.
	Store   string `json:"store"`
	Message string `json:"message"`
}

// Forgotten is a key that a limit has forgotten.
type Forgotten struct {
	Limit string `json:"limit"`
	Key   string `json:"key"`
}

// Serve shows the limits with GET, and forgets with DELETE.
func (l *Limits) Serve(x *exchange.Exchange) {
	switch x.Method {
	case http.MethodGet, http.MethodHead:
		l.show(x)
	case http.MethodDelete:
		l.reset(x)
	default:
		x.Allow = "DELETE, GET, HEAD"
		x.Refuse(exchange.MethodNotAllowed)
	}
}

func (l *Limits) show(x *exchange.Exchange) {
	q, err := readQuery(x.Query, "limit", "top")
	var top int
	if err == nil {
		top, err = readTop(q["top"])
	}
	s := l.State.Limits()
	limits, ok := asked(x, s.Set, q, err)
	if !ok {
		return
	}
	now := time.Now()
	page := LimitsPage{Store: s.store(), Limits: []LimitPage{}}
	for _, one := range limits {
		used := s.of(one.Name())
		page.Limits = append(page.Limits, LimitPage{
			Name: one.Name(), Rule: one.Explain(),
			Allowed: used.Allowed, Refused: used.Refused, Observed: used.Observed, WhileLost: used.WhileLost,
			Nearest: showKeyStates(used.Nearest, top, now), MostRefused: showKeyStates(used.Refusals, top, now),
		})
	}
	reply(x, http.StatusOK, page)
}

func (s *LimitsState) store() LimitsStore {
	return LimitsStore{
		State: s.place(), Since: stamp(s.Meter.Since), Nodes: s.Meter.Nodes, Losses: s.Meter.Losses,
		Keys: s.Held.Keys, Dropped: s.Held.Dropped,
	}
}

// showKeyStates shows the first keys.
func showKeyStates(states []meter.KeyState, top int, now time.Time) []KeyPage {
	pages := []KeyPage{}
	for _, k := range states[:min(top, len(states))] {
		p := KeyPage{Key: k.Key, Used: k.Used, Limit: k.Limit, Left: k.Left, Refused: k.Refused}
		if wait := k.Until.Sub(now); wait > 0 {
			p.More = int64((wait + time.Second - 1) / time.Second)
		}
		pages = append(pages, p)
	}
	return pages
}

// readQuery takes a query apart, strictly: what is misspelt in it would otherwise mean all
// limits. The values are no views.
func readQuery(query string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(strings.Clone(query))
	if err != nil {
		return nil, errors.New("the query can't be read")
	}
	out := make(map[string]string)
	for name, all := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("there are %s, and something else was written", strings.Join(known, " and "))
		case len(all) > 1:
			return nil, fmt.Errorf("%s is there twice", name)
		case all[0] == "":
			return nil, fmt.Errorf("%s is empty", name)
		}
		out[name] = all[0]
	}
	return out, nil
}

func readTop(text string) (int, error) {
	if text == "" {
		return defaultTop, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > mostTop {
		return 0, fmt.Errorf("top is no number from 0 to %d", mostTop)
	}
	return n, nil
}

// asked returns the limits that a query asks for. It refuses one that is not good, which err
// says, or that names another.
func asked(x *exchange.Exchange, set *limit.Set, q map[string]string, err error) (limits []*limit.Limit, ok bool) {
	if err != nil {
		x.RefuseWith(exchange.BadLimitsQuery, err.Error())
		return nil, false
	}
	if limits, ok = chosen(set, q); !ok {
		refuseUnknown(x, q["limit"])
	}
	return limits, ok
}

// chosen returns the limit that a query names, or all.
func chosen(set *limit.Set, q map[string]string) (limits []*limit.Limit, ok bool) {
	names := set.Names()
	if name, named := q["limit"]; named {
		names = []string{name}
	}
	for _, name := range names {
		l := set.Lookup(name)
		if l == nil {
			return nil, false
		}
		limits = append(limits, l)
	}
	return limits, true
}

func refuseUnknown(x *exchange.Exchange, name string) {
	detail := "no limit of that name"
	if len(name) <= longestLimit { // or it may be anything
		detail = fmt.Sprintf("no limit %q", name)
	}
	x.RefuseWith(exchange.NoSuchLimit, detail)
}

// reset forgets what somebody has used, of one limit or of all.
func (l *Limits) reset(x *exchange.Exchange) {
	q, err := readQuery(x.Query, "key", "limit")
	if err == nil && q["key"] == "" {
		err = errors.New("there is no key")
	}
	s := l.State.Limits()
	limits, ok := asked(x, s.Set, q, err)
	if !ok {
		return
	}
	targets, err := targetsIn(limits, q["key"])
	if err != nil { // it may quote a secret, so the log has not what was written
		reason := exchange.BadLimitKey
		if len(limits) == 1 && limits[0].Concurrent() {
			reason = exchange.NothingToForget
		}
		x.RefuseWith(reason, "no key of "+atLimits(q["limit"]))
		return
	}
	pending := l.forget(x.Context(), targets)
	l.tell(x, targets, pending)
	reply(x, http.StatusOK, forgotten(targets, pending, s.place()))
}

func atLimits(name string) string {
	if name == "" {
		return "all limits"
	}
	return "limit " + name
}

// Targets returns what is to be forgotten when somebody types a key: under which key each
// limit counts what is meant. Without the name of a limit those which do not count by such
// keys are left out, and those that count requests that run. The error says what would be
// right.
func Targets(set *limit.Set, name, typed string) ([]Forgotten, error) {
	q := make(map[string]string)
	if name != "" {
		q["limit"] = name
	}
	limits, ok := chosen(set, q)
	if !ok {
		return nil, fmt.Errorf("there is no limit %q, %s", name, problem.DidYouMean(name, set.Names()))
	}
	return targetsIn(limits, typed)
}

func targetsIn(limits []*limit.Limit, typed string) (targets []Forgotten, err error) {
	for _, one := range limits {
		if one.Concurrent() {
			continue
		}
		key, why := one.Keys(typed)
		if why != nil {
			err = why
			continue
		}
		targets = append(targets, Forgotten{one.Name(), key})
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case len(limits) == 1 && err == nil:
		return nil, fmt.Errorf("limit %q counts requests that run, so there is nothing to forget", limits[0].Name())
	case len(limits) == 1:
		return nil, err
	}
	return nil, errors.New("no limit counts under such a key; name the limit that is meant, to see what its keys look like")
}

// forget returns why not all nodes forget, or nil. This one does in any case.
func (l *Limits) forget(ctx context.Context, targets []Forgotten) (pending error) {
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	for _, t := range targets {
		if err := l.Forget(ctx, t.Limit, t.Key); err != nil && pending == nil {
			pending = err
			cancel() // the others are forgotten here all the same
		}
	}
	return pending
}

// tell writes one line for each reset into the log.
func (l *Limits) tell(x *exchange.Exchange, targets []Forgotten, pending error) {
	attrs := by(x)
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Limit + " " + t.Key
	}
	attrs = append(attrs, "forgotten", names)
	if pending != nil {
		attrs = append(attrs, "pending", pending.Error())
	}
	l.Log.Info("limits reset", attrs...)
}

// forgotten says what was forgotten, and where.
func forgotten(targets []Forgotten, pending error, place string) ForgottenPage {
	p := ForgottenPage{Forgotten: targets, Store: "written", Message: "Forgotten by this node now, and by all others within a second."}
	switch {
	case pending != nil:
		p.Store = "pending"
		p.Message = "Forgotten by this node alone. The store does not take it now, so all nodes go on with what it has counted when it is back: reset again then."
	case place == limitsMemory:
		p.Store, p.Message = memory.Name, "Forgotten by this node, which counts alone."
	}
	return p
}
