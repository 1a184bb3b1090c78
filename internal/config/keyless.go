package config

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"slices"
)

// Keyless reads configurations for who believes tokens of their own making, and
// asks no issuer's key: an issuer's secret or jwks_url with a variable that is
// not set is no problem then. Something that nobody knows stands in for it. What
// was read so must not serve anybody.
//
// The nil Keyless takes nothing for what is not set, as Load and Parse do.
type Keyless struct{ unset []string }

// Unset returns the variables for which something stood in.
func (k *Keyless) Unset() []string {
	if k == nil {
		return nil
	}
	return k.unset
}

// ofKeys is where a variable that is not set makes no difference.
var ofKeys = regexp.MustCompile(`^issuers\..+\.keys\[\d+\]\.(secret|jwks_url)$`)

// standIn returns what stands in for a whole text, if something has to and may.
func (k *Keyless) standIn(path string, x *expansion) (text string, ok bool) {
	if k == nil || len(x.unset) == 0 || x.malformed {
		return "", false
	}
	at := ofKeys.FindStringSubmatch(path)
	if at == nil {
		return "", false
	}
	for _, name := range x.unset {
		if !slices.Contains(k.unset, name) {
			k.unset = append(k.unset, name)
		}
	}
	if at[1] == "jwks_url" {
		return "https://unset.invalid/", true
	}
	return anySecret(), true
}

// anySecret returns a new secret that is long enough in each encoding.
func anySecret() string {
	var b [64]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
