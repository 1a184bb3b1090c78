package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"yett/internal/store"
)

// modelStore makes a store of a Model, as far as takes go.
type modelStore struct {
	store.Store
	mu sync.Mutex
	m  *Model
}

func (s *modelStore) Take(_ context.Context, now time.Time, takes []store.Take) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Take(now, takes)
	return nil
}

func (s *modelStore) Forget(_ context.Context, name, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.Forget(name, key)
	return nil
}

// The model itself keeps what the suite asks of a store.
func TestModel(t *testing.T) {
	Takes(t, func(t *testing.T) (store.Store, func(time.Time)) { return &modelStore{m: NewModel()}, nil })
}
