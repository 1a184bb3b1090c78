// Package policytest holds what every policy is tested with: the suite that
// all of them pass (Run), exchanges to try one on (Call), and the reader of
// the scripts in testdata (Script).
package policytest
