// Package e2e tests the program as its users meet it: the real binary, started
// on free ports, with real services behind it. What it needs of the system, it
// asks of Linux.
package e2e
