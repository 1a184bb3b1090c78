// Package retry says when a request may be sent once more, and when: which methods allow it,
// how long to wait before, and how many retries there may be at all. It knows nothing of
// connections and has no clock of its own: callers pass what time it is.
package retry
