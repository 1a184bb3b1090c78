// Package twin holds the two engines against each other. It has tests only.
//
// Every script of every policy, and those in testdata, is played to a whole
// gateway twice: as it stands, over HTTP/1.1, and as the same requests in
// HTTP/2. Both have to give the expected answers, and the same ones but for
// what belongs to the protocol.
//
// The variable UPSTREAM in a script's config is the address of a service that
// says in JSON what it was asked; see echo_test.go.
package twin
