package contract

import (
	"net/url"
	"strings"
)

// PathValue returns the value that a path has for a name of the operation's template, without
// percent-encoding. path is the one that Match was asked for. The value may be a view into it.
func (o *Operation) PathValue(path, name string) (value string, ok bool) {
	var values [maxPathNames]string
	if !o.pathValues(path, &values) {
		return "", false
	}
	n := 0
	for i := range o.segments {
		for _, known := range o.segments[i].names {
			if known == name {
				return decoded(values[n])
			}
			n++
		}
	}
	return "", false
}

func decoded(value string) (string, bool) {
	if strings.IndexByte(value, '%') < 0 {
		return value, true
	}
	plain, err := url.PathUnescape(value)
	return plain, err == nil
}
