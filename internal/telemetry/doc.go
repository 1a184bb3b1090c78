// Package telemetry turns finished requests into what operators look at. The
// gateway fills one Record for each request, good or refused, and hands it
// on; AccessLog writes it as a line of JSON.
//
// Nothing in here knows an exchange, a route or a configuration, and nothing
// in here may slow a request down: the encoder does not allocate, and an
// output that is slow or stuck costs lines, which are counted, and no time.
package telemetry
