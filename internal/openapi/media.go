package openapi

import "strings"

// IsJSON tells whether content of a media type, with or without parameters, is JSON: by that
// name, or by its suffix (RFC 6839 section 3.1).
func IsJSON(mediaType string) bool {
	essence, _, _ := strings.Cut(mediaType, ";")
	major, minor, _ := strings.Cut(strings.Trim(essence, " \t"), "/")
	if strings.EqualFold(minor, "json") {
		return strings.EqualFold(major, "application") || strings.EqualFold(major, "text")
	}
	const suffix = "+json"
	return len(minor) >= len(suffix) && strings.EqualFold(minor[len(minor)-len(suffix):], suffix)
}
