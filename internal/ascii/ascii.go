// Package ascii tells quickly of most texts that nothing in them has to be encoded.
package ascii

// Simple tells whether s surely has no characters but those from '!' to 'z', without '%' and
// another one: no blank, no control character, no brace, none that is not ASCII. A false answer
// means nothing. It looks at eight bytes at a time; the last eight overlap those before.
func Simple(s string, but byte) bool {
	if len(s) < 8 {
		return simpleBytes(s, but)
	}
	other := ones * uint64(but)
	for i := 0; i+8 < len(s); i += 8 {
		if !simpleWord(word(s[i:]), other) {
			return false
		}
	}
	return simpleWord(word(s[len(s)-8:]), other)
}

func simpleBytes(s string, but byte) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > 'z' || c == '%' || c == but {
			return false
		}
	}
	return true
}

const ones, highs = 0x0101010101010101, 0x8080808080808080

// simpleWord sets the high bit of a byte in a term when the byte is below '!', above 'z', or one
// that is to be missing. A borrow may set it for the byte above such a one as well, and a carry
// comes only from a byte that is not ASCII, which changes nothing.
func simpleWord(w, other uint64) bool {
	percent := w ^ ones*'%'
	other ^= w
	return (w|(w-ones*'!')|(w+ones*(0x80-'z'-1))|(percent-ones)|(other-ones))&highs == 0
}

// word returns the first eight bytes of s, of which there are as many at least.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
