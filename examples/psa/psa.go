// Package psa carries the example platform's configuration, so that `yett demo` needs no files.
package psa

import _ "embed"

//go:embed yett.yaml
var config string

// Config returns yett.yaml as it stands beside this file. The slice is the caller's.
func Config() []byte { return []byte(config) }
