// Package soak changes gateways again and again while clients use them, and breaks what can break
// in a machine: the program is the real one, and so are its processes. `go test` does a little of
// everything; YETT_SOAK=1, or `make soak`, all of it.
package soak
