// Package revocation is the list of tokens that are no longer good: by their
// ID, by the SHA-256 of the whole token, or by subject, which concerns all
// tokens that were issued before a moment.
//
// Every node has the whole list in memory, so that asking costs no call. What
// is added counts here at once, and on all nodes as soon as the store tells
// them. A node never forgets what it knows before it ends: with the store lost
// it still refuses, and when the store is back, or came back empty, it gets
// again what it lacks.
package revocation
