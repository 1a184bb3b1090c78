// Command load runs the load tests: `go run ./load spike`, or `make load TEST=spike`.
//
// It builds k6 (once, into load/bin) and the example platform's services, starts them and the gateway on free
// ports, has k6 send what a test says, and passes or fails it. Requests are sent when they are due, whether or
// not those before were answered, so that a gateway that stalls doesn't slow down who measures it. A request that could not be
// sent when it was due fails the test. docs/load-tests.md says how to read what comes out.
package main
