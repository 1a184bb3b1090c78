//go:build !linux

package http1

import "log/slog"

// Lot needs epoll; elsewhere idle connections keep their goroutines.
type Lot struct{}

// NewLot makes a Lot.
func NewLot(*slog.Logger) (*Lot, error) { return &Lot{}, nil }

// Close does nothing.
func (*Lot) Close()          {}
func (*Lot) park(*conn) bool { return false }
func (*Lot) wake(*conn)      {}
