//go:build !poison

package exchange

func poison([]byte) {}

// Poison overwrites a buffer that is given back, in builds with the tag
// "poison" only.
func Poison([]byte) {}
