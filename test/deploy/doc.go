// Package deploy tries what deploy/ and docs/DEPLOYMENT.md bring to a machine: the files are read
// as they lie there, and run as far as a machine without systemd as its first process and
// without a cluster can. Test functions that take long run with YETT_DEPLOY=1 (make deploy-test).
package deploy
