// Command bench measures what one proxied request costs Yett, nginx and
// HAProxy in CPU time, how much latency they add, and what an idle connection
// costs them in memory.
//
// Times taken on a shared machine mean little by themselves, so all subjects
// are measured in one run, in short interleaved rounds, and the ratios between
// them are the result. README.md explains the method and its limits.
//
// The program starts itself twice more in other roles: an origin server that
// the subjects forward to and a load generator. Both are written close to the
// socket calls so that they cost less than what they measure.
package main
