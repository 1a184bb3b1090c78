package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (p Process) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which build this is",
		Example: "  yett version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), p.version())
			return err
		},
	}
}

// build is what is known about this program.
type build struct {
	version  string // as the linker or the module says
	commit   string // empty outside of a repository
	modified bool
	date     string // of the commit
}

// version asks the linker's word first, then the Go toolchain's.
func (p Process) version() build {
	b := build{version: p.Version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.version == "" && info.Main.Version != "(devel)" {
		b.version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		case "vcs.time":
			b.date = s.Value
		}
	}
	return b
}

// short is the version alone, as health answers show it.
func (b build) short() string {
	if b.version == "" {
		return "dev"
	}
	return b.version
}

// String is one line for people.
func (b build) String() string {
	var facts []string
	if b.commit != "" {
		commit := "commit " + b.commit[:min(len(b.commit), 12)]
		if b.modified {
			commit += " with changes"
		}
		facts = append(facts, commit)
	}
	if b.date != "" {
		facts = append(facts, b.date)
	}
	facts = append(facts, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	return fmt.Sprintf("yett %s (%s)", b.short(), strings.Join(facts, ", "))
}
