package meter

import (
	"context"
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
	open map[debtor]debt
}

type debtor struct{ name, key string }

type debt struct {
	rule store.Rule
	cost int64
	at   time.Time // when it was spent last
}

func newDebts() *debts { return &debts{open: make(map[debtor]debt)} }

func (d *debts) add(name, key string, rule store.Rule, cost int64, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	owed, known := d.open[debtor{name, key}]
	switch {
	case known:
	case len(d.open) >= maxDebts:
		return
	default:
		name, key = string([]byte(name)), string([]byte(key)) // they are views
	}
	d.open[debtor{name, key}] = debt{rule, owed.cost + cost, now}
}

// pay counts in the store what is owed, but for what has no effect any more. After an
// error what is left is still owed.
func (d *debts) pay(ctx context.Context, s store.Store) error {
	for {
		owed := d.some()
		if len(owed) == 0 {
			return nil
		}
		now := time.Now()
		takes := make([]store.Take, 0, len(owed))
		for who, debt := range owed {
			if now.Sub(debt.at) < debt.rule.Window || debt.rule.Algorithm == store.TokenBucket {
				takes = append(takes, store.Take{Name: who.name, Key: who.key, Rule: debt.rule, Action: store.Charge, Cost: debt.cost})
			}
		}
		if err := s.Take(ctx, now, takes); err != nil {
			d.takeBack(owed)
			return err
		}
	}
}

// some takes out as many debts as are paid at once.
func (d *debts) some() map[debtor]debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	owed := make(map[debtor]debt, MaxClaims)
	for who, debt := range d.open {
		if len(owed) == MaxClaims {
			break
		}
		owed[who] = debt
		delete(d.open, who)
	}
	return owed
}

func (d *debts) takeBack(owed map[debtor]debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for who, old := range owed {
		debt := d.open[who]
		d.open[who] = debt.plus(old)
	}
}

// plus adds a debt that is older.
func (d debt) plus(old debt) debt {
	if d.cost == 0 {
		return old
	}
	d.cost += old.cost
	return d
}

// forget remits what somebody owes.
func (d *debts) forget(name, key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, debtor{name, key})
}
