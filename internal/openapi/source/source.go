// Package source has the document of each service at hand: it reads or fetches it, looks
// for a new one now and then, and keeps the last good one.
package source

import (
	"sync/atomic"
	"time"

	"yett/internal/openapi"
	"yett/internal/openapi/contract"
)

// Source is where the document of one service comes from.
type Source struct {
	service string
	loaded  atomic.Pointer[Loaded]
}

// Loaded is a document that was good.
type Loaded struct {
	// Document has been brought to version 3.1. Written is the version that it came in.
	Document *openapi.Document
	Written  string
	Contract *contract.Contract
	// At is when it came, Size how large it was in bytes.
	At   time.Time
	Size int
}

// Service returns the name of the service.
func (s *Source) Service() string { return s.service }

// Loaded returns the last good document, nil as long as there was none.
func (s *Source) Loaded() *Loaded { return s.loaded.Load() }
