// Command yett is an API gateway. Everything is in internal/cli and below.
package main

import (
	"context"
	"fmt"
	"os"

	"yett/internal/cli"
	"yett/internal/config"
	"yett/internal/handover"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	started, err := handover.Started(os.Args)
	if err != nil { // the program runs, but can't be found again
		fmt.Fprintln(os.Stderr, "yett: no other process will be able to take the place of this one:", err)
	}
	os.Exit(cli.Main(context.Background(), cli.Process{
		Args: os.Args[1:], Started: started, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: config.OSEnv(), Version: version,
	}))
}
