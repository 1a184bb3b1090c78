package kit

import (
	"slices"
	"sync"
)

// maxRecords bounds what a client can make a service remember.
const maxRecords = 100_000

// Meta is what every record has. Records embed it.
type Meta struct {
	ID        string `json:"id"`
	TenantID  string `json:"tenantId"`
	CreatedAt string `json:"createdAt"`
	UpdatedAt string `json:"updatedAt"`
}

// NewMeta returns the Meta of a record that the tenant makes now.
func NewMeta(tenantID string) Meta { return DemoMeta(tenantID, NewID()) }

// DemoMeta is NewMeta with a known ID, for sample records.
func DemoMeta(tenantID, id string) Meta {
	now := Timestamp()
	return Meta{ID: id, TenantID: tenantID, CreatedAt: now, UpdatedAt: now}
}

// Scope says whose records an operation can see. Its zero value sees none of any tenant.
type Scope struct {
	tenantID string
	all      bool
}

// InTenant sees the records of one tenant.
func InTenant(tenantID string) Scope { return Scope{tenantID: tenantID} }

// EveryTenant sees all records.
func EveryTenant() Scope { return Scope{all: true} }

func (s Scope) sees(meta *Meta) bool {
	return s.all || s.tenantID != "" && s.tenantID == meta.TenantID
}

// Collection keeps records of one kind in memory, in the order in which they were made. It is safe for concurrent use
// and hands out copies. T must hold no pointers, maps or slices that anybody changes.
type Collection[T any] struct {
	kind   string
	meta   func(*T) *Meta
	unique func(*T) string

	mu    sync.RWMutex
	byID  map[string]*T
	byKey map[string]*T
	order []*T
}

// NewCollection makes an empty collection. kind is the word for one record in messages. unique gives the key that no
// two records may share, or "" for a record without one; a nil unique means that no record has one.
func NewCollection[T any](kind string, meta func(*T) *Meta, unique func(*T) string) *Collection[T] {
	if unique == nil {
		unique = func(*T) string { return "" }
	}
	return &Collection[T]{kind: kind, meta: meta, unique: unique, byID: map[string]*T{}, byKey: map[string]*T{}}
}

// Insert adds a record. A taken key and a full collection are 409.
func (c *Collection[T]) Insert(record T) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.order) >= maxRecords {
		return Conflict("The demo keeps at most %d records of the kind %s; delete some or restart it.", maxRecords, c.kind)
	}
	if err := c.claim(&record, nil); err != nil {
		return err
	}
	c.byID[c.meta(&record).ID] = &record
	c.order = append(c.order, &record)
	if key := c.unique(&record); key != "" {
		c.byKey[key] = &record
	}
	return nil
}

// claim refuses a key that a record other than self already has.
func (c *Collection[T]) claim(record, self *T) error {
	key := c.unique(record)
	if holder, taken := c.byKey[key]; key != "" && taken && holder != self {
		return Conflict("There is already a %s like this one.", c.kind)
	}
	return nil
}

// Get returns a copy of a record; one that is missing or out of scope is 404.
func (c *Collection[T]) Get(scope Scope, id string) (T, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, err := c.find(scope, id)
	if err != nil {
		return *new(T), err
	}
	return *record, nil
}

// Find returns a copy of the record with a unique key.
func (c *Collection[T]) Find(key string) (T, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if record, found := c.byKey[key]; found {
		return *record, true
	}
	return *new(T), false
}

func (c *Collection[T]) find(scope Scope, id string) (*T, error) {
	record, found := c.byID[id]
	if !found || !scope.sees(c.meta(record)) {
		return nil, c.Missing()
	}
	return record, nil
}

// Missing is the 404 of this collection, the same for a record that is not there and for one that must not be seen.
func (c *Collection[T]) Missing() error { return NotFound("There is no such %s.", c.kind) }

// List returns the page of the records in scope that match, oldest first. match runs under the lock and only reads.
func (c *Collection[T]) List(scope Scope, page Page, match func(*T) bool) Listing[T] {
	c.mu.RLock()
	defer c.mu.RUnlock()
	listing := Listing[T]{Items: []T{}, Limit: page.Limit, Offset: page.Offset}
	for _, record := range c.order {
		if !scope.sees(c.meta(record)) || !match(record) {
			continue
		}
		if listing.Total >= page.Offset && len(listing.Items) < page.Limit {
			listing.Items = append(listing.Items, *record)
		}
		listing.Total++
	}
	return listing
}

// Any reports whether a record matches. match runs under the lock and only reads.
func (c *Collection[T]) Any(match func(*T) bool) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.order, match)
}

// Update changes one record in one step and returns the changed copy. When change returns an error nothing is changed.
// change runs under the lock on a copy; what it does to the Meta is ignored.
func (c *Collection[T]) Update(scope Scope, id string, change func(*T) error) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	record, err := c.find(scope, id)
	if err != nil {
		return *new(T), err
	}
	next := *record
	if err := change(&next); err != nil {
		return *new(T), err
	}
	meta := *c.meta(record)
	meta.UpdatedAt = Timestamp()
	*c.meta(&next) = meta
	if err := c.claim(&next, record); err != nil {
		return *new(T), err
	}
	delete(c.byKey, c.unique(record))
	*record = next
	if key := c.unique(record); key != "" {
		c.byKey[key] = record
	}
	return next, nil
}

// Delete removes one record and returns it, unless allow, which runs under the lock, refuses.
func (c *Collection[T]) Delete(scope Scope, id string, allow func(*T) error) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	record, err := c.find(scope, id)
	if err != nil {
		return *new(T), err
	}
	if err := allow(record); err != nil {
		return *new(T), err
	}
	at := slices.Index(c.order, record)
	c.order = slices.Delete(c.order, at, at+1)
	c.forget(record)
	return *record, nil
}

// DeleteWhere removes every record that matches. match runs under the lock and only reads.
func (c *Collection[T]) DeleteWhere(match func(*T) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = slices.DeleteFunc(c.order, func(record *T) bool {
		if !match(record) {
			return false
		}
		c.forget(record)
		return true
	})
}

func (c *Collection[T]) forget(record *T) {
	delete(c.byID, c.meta(record).ID)
	delete(c.byKey, c.unique(record))
}
