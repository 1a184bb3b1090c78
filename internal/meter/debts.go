package meter

import (
	"context"
	"strings"
	"sync"
	"time"

	"yett/internal/store"
)

// maxDebts bounds for how many callers it is remembered what they have spent here while
// the store was lost. Of others the store never learns.
const maxDebts = 10_000

// debts is what was spent on this node while the store was lost, and has to be
// counted there when it is back.
type debts struct {
	mu   sync.Mutex
	open map[debtor]*debt
}

type debtor struct{ name, key string }

type debt struct {
	rule store.Rule
	cost int64
}

func newDebts() *debts { return &debts{open: make(map[debtor]*debt)} }

func (d *debts) add(name, key string, rule store.Rule, cost int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if owed := d.open[debtor{name, key}]; owed != nil { // to assign would put the views into the map
		owed.rule, owed.cost = rule, owed.cost+cost
		return
	}
	if len(d.open) < maxDebts {
		d.open[debtor{strings.Clone(name), strings.Clone(key)}] = &debt{rule, cost}
	}
}

// paid is how many debts are paid at the same time.
const paid = 64

// pay counts in the store what is owed, but for what counts no more: here knows, where it
// was counted too. After an error what was not counted is still owed.
func (d *debts) pay(ctx context.Context, s, here store.Store) error {
	for {
		owed := d.some()
		if len(owed) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			d.takeBack(owed)
			return err
		}
		if err := d.payAll(ctx, s, here, owed); err != nil {
			return err
		}
	}
}

// payAll pays the debts of each key by themselves, because nodes of a store that are
// there count what is theirs also where another one fails, and would do it again each time.
func (d *debts) payAll(ctx context.Context, s, here store.Store, owed map[debtor]debt) error {
	byKey := make(map[string]map[debtor]debt, len(owed))
	for who, one := range owed {
		if byKey[who.key] == nil {
			byKey[who.key] = make(map[debtor]debt)
		}
		byKey[who.key][who] = one
	}
	failed := make(chan error, len(byKey))
	for _, some := range byKey {
		go func() {
			err := charge(ctx, s, here, some)
			if err != nil {
				d.takeBack(some)
			}
			failed <- err
		}()
	}
	var first error
	for range byKey {
		if err := <-failed; first == nil {
			first = err
		}
	}
	return first
}

// charge counts debts of one key.
func charge(ctx context.Context, s, here store.Store, owed map[debtor]debt) error {
	now := time.Now()
	takes := make([]store.Take, 0, len(owed))
	for who, debt := range owed {
		if cost := debt.due(ctx, here, who, now); cost > 0 {
			takes = append(takes, store.Take{Name: who.name, Key: who.key, Rule: debt.rule, Action: store.Charge, Cost: cost})
		}
	}
	if len(takes) == 0 {
		return nil
	}
	return s.Take(ctx, now, takes)
}

// due is how much of a debt still counts.
func (d debt) due(ctx context.Context, here store.Store, who debtor, now time.Time) int64 {
	look := [1]store.Take{{Name: who.name, Key: who.key, Rule: d.rule, Action: store.Look, Cost: 1}}
	_ = here.Take(ctx, now, look[:]) // memory has no errors
	return min(d.cost, d.rule.Size()-look[0].Left)
}

// some takes out as many debts as are paid at the same time.
func (d *debts) some() map[debtor]debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	owed := make(map[debtor]debt, paid)
	for who, debt := range d.open {
		if len(owed) == paid {
			break
		}
		owed[who] = *debt
		delete(d.open, who)
	}
	return owed
}

func (d *debts) takeBack(owed map[debtor]debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for who, old := range owed {
		if debt := d.open[who]; debt != nil {
			debt.cost += old.cost
		} else {
			d.open[who] = &old
		}
	}
}

// forget remits what somebody owes.
func (d *debts) forget(name, key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, debtor{name, key})
}
