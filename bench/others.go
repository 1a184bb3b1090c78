package main

import "maps"

// bareOthers is bare for those that are no proxies in C.
func bareOthers() map[string]conf {
	return map[string]conf{"caddy": {}, "express": {}, "reverseproxy": {}, "fasthttp": {}}
}

// loggedOthers is logged for those of them that can write a log.
func loggedOthers() map[string]conf {
	return map[string]conf{
		"caddy":   {Route: "log {\n\toutput file access.log\n}"},
		"express": {Top: `"log": "access.log",`},
	}
}

// with adds configurations to others.
func with(others, to map[string]conf) map[string]conf {
	maps.Copy(to, others)
	return to
}
