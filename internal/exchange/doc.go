// Package exchange is one request and its answer in the gateway's own words.
//
// Engines fill an Exchange from a socket and drain it back; routes, policies
// and services read and change it. Nothing in here knows a protocol, a socket
// or a configuration.
//
// Strings and byte slices in an Exchange are views into buffers that the
// engine or the upstream owns. They are valid until Release and no longer:
// whoever keeps one must clone it. The build tag "poison" overwrites released
// memory, so that a forgotten clone fails a test.
package exchange
