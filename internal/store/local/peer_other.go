//go:build !linux

package local

// allowed leaves it to the mode of the socket who may connect.
func allowed(*conn) error { return nil }
