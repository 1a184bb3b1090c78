package exchange

import "unsafe"

// View returns b as a string without copying. The string is valid as long as
// nobody writes to b.
func View(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
