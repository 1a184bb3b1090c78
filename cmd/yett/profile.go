//go:build profile

package main

import (
	"os"
	"runtime/pprof"
	"time"
)

// A binary with the tag profile writes a CPU profile of its first seconds to the
// file YETT_PROFILE: what `make pgo` makes default.pgo of.
func init() {
	name := os.Getenv("YETT_PROFILE")
	if name == "" {
		return
	}
	file, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		panic(err)
	}
	time.AfterFunc(profileTime, func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	})
}

const profileTime = 10 * time.Second
