// Package contract holds requests and answers against what a document says of them.
package contract

// Contract is a document, compiled for looking up operations and checking messages.
type Contract struct{}
