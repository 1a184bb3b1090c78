package kit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// NewID returns a random UUID, version 4 (RFC 9562, section 5.4).
func NewID() string {
	var raw [16]byte
	rand.Read(raw[:]) // documented never to fail
	return formatID(raw)
}

// DemoID returns the same version 4 shaped UUID for the same kind and name on every start and in every service,
// so that sample tickets can point at sample customers and a written-down curl line stays true.
func DemoID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "/" + name))
	return formatID([16]byte(sum[:16]))
}

func formatID(raw [16]byte) string {
	raw[6] = raw[6]&0x0f | 0x40 // version 4
	raw[8] = raw[8]&0x3f | 0x80 // variant 10
	text := make([]byte, 0, 36)
	for i, b := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, []byte{b})
	}
	return string(text)
}

// ValidID reports whether id has the shape of a UUID of any version.
func ValidID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// Timestamp returns the present time as ISO 8601 in UTC with milliseconds.
func Timestamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }
