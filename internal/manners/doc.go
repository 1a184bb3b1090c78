// Package manners is how a good proxy behaves: what a request loses at the
// door (fields of one connection, fields that only the gateway may set,
// claims of a client that nobody vouches for), who its caller is, and what a
// service is told about the client's side.
package manners
