package memory

import (
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

func TestTakes(t *testing.T) {
	storetest.Takes(t, func(t *testing.T) (store.Store, func(time.Time)) { return New(Options{}), nil })
}
