// Package local is the store of several processes of one machine: a server that holds a
// memory.Store, and a store.Store that asks it over a Unix socket.
//
// Each connection begins with eight bytes either way, what it is for and whether that is
// possible. Then come frames: the length of the rest, a verb, a tag that the answer has too, and
// what the verb needs. All calls of a process share one connection: whoever asks while another
// one writes only leaves a frame, which goes along with the next write, and the server answers
// what it has read at once. Each Follow has a connection of its own, on which only the server
// speaks.
//
// A server can be succeeded by another process, see Succeed.
package local

import "time"

const (
	// dialTimeout bounds a connection's making, until the server has said that it serves it.
	dialTimeout = 500 * time.Millisecond
	// callTimeout bounds every call but Take.
	callTimeout = 500 * time.Millisecond
	// defaultTimeout is how long Take may take.
	defaultTimeout = 25 * time.Millisecond
	// hung is for how long a server may owe an answer until its connection is given up.
	hung = time.Second
	// firstRetry and lastRetry are how long it takes until a server is looked for again, after
	// a first and after many failures.
	firstRetry, lastRetry = 20 * time.Millisecond, 250 * time.Millisecond
	// settles is how long a server that was succeeded is looked for before it counts as lost.
	settles = 2 * time.Second
	// beat is how often the server says on the connection of a Follow that it is there, and
	// silence how long that may say nothing.
	beat, silence = 500 * time.Millisecond, 1500 * time.Millisecond
	// reread is how often a set that is followed is told as a whole.
	reread = time.Minute
	// stuck is how long a client may take nothing of what the server writes.
	stuck = time.Second
	// queued is how many calls may wait. Beyond, they fail at once with store.ErrBusy.
	queued = 4096
	// behind is how many bytes of what is added may wait for a client that follows.
	behind = 4 << 20
	// firstBuffer is how large buffers are at first, and after they were larger.
	firstBuffer = 16 << 10
	// maxPath is how long the path of a socket may be, in bytes.
	maxPath = 104
)
