// Package logread shows what log files hold, also in those that were moved aside and compressed: several
// logs in order of time, the last lines of them or all, and further ones as they come.
//
// A log is read without a lock. Nothing is missed when it is moved aside meanwhile.
package logread
