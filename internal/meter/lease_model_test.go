package meter

import (
	"time"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

// leaseModel is the store, for one key.
type leaseModel struct {
	*storetest.Model
	calls  int
	opened []int64 // when each fixed window has begun
}

func newLeaseModel() *leaseModel { return &leaseModel{Model: storetest.NewModel()} }

// take answers a Spend at a time in microseconds.
func (m *leaseModel) take(at int64, t *store.Take) {
	m.calls++
	takes := []store.Take{*t}
	m.Take(time.UnixMicro(at), takes)
	*t = takes[0]
	if t.Granted > 0 && t.Granted+t.Left == t.Rule.Limit {
		m.opened = append(m.opened, at)
	}
}
