// Package supervisor runs several processes of the gateway on one set of listening sockets: it
// starts them, waits until they are ready, starts them again when they crash or grow, and rolls
// through them for a new configuration or a new program.
package supervisor
