// Command yett is an API gateway. Everything is in internal/cli and below.
package main

import (
	"context"
	"os"

	"yett/internal/cli"
	"yett/internal/config"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	os.Exit(cli.Main(context.Background(), cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: config.OSEnv(), Version: version,
	}))
}
