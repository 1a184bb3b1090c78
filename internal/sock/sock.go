// Package sock holds the system calls of the hot path: receive and send on a
// socket that does not block, and looks at what waits there. On Linux they go straight to the socket
// layer, without the file layer's checks and without telling the scheduler,
// because they return at once; see docs/decisions/0007-socket-calls.md.
//
// They are for use inside of syscall.RawConn's methods, which keep the
// descriptor open and wait for it.
package sock
