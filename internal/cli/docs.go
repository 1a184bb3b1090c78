package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"yett/internal/openapi"
	"yett/internal/problem"
)

func (p Process) docsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Work with OpenAPI documents",
		Example: `  yett docs lint tickets.yaml
  yett docs diff released.json tickets.yaml
  yett docs export -o openapi.json
  yett docs coverage`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.docsVerbs()...)
	return cmd
}

// docsVerbs are the verbs below docs.
func (p Process) docsVerbs() []*cobra.Command {
	return []*cobra.Command{
		p.docsLintCommand(),
		p.docsDiffCommand(),
		p.docsExportCommand(),
		p.docsCoverageCommand(),
	}
}

// stdinName is how standard input is named on the command line.
const stdinName = "-"

// readDocument reads an OpenAPI document, from standard input where its name is -. An error
// is a problem.List where it can be read and is none.
func readDocument(name string, stdin io.Reader) (*openapi.Document, error) {
	name, data, err := readText(name, stdin)
	if err != nil {
		return nil, err
	}
	d, err := openapi.Parse(name, data, openapi.DefaultLimits())
	return d, printableError(err)
}

// printableError makes problems printable, which repeat what stands in a document.
func printableError(err error) error {
	list, ok := errors.AsType[problem.List](err)
	if !ok {
		return err
	}
	list = slices.Clone(list)
	for i := range list {
		p := &list[i]
		p.Path, p.What, p.Hint = printable(p.Path), printable(p.What), printable(p.Hint)
	}
	return list
}

// readText reads a file, or standard input where its name is -, as far as one byte more than
// a document may have. It also returns what messages call it.
func readText(name string, stdin io.Reader) (string, []byte, error) {
	from := stdin
	if name == stdinName {
		name = "stdin"
	} else {
		f, err := openRegular(name)
		if err != nil {
			return "", nil, fmt.Errorf("reading the document: %w", err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, openapi.DefaultLimits().Bytes+1)) // more is refused
	if err != nil {
		return "", nil, fmt.Errorf("reading the document: %w", err)
	}
	return name, data, nil
}

// openRegular opens a file. Anything else, such as a FIFO or a terminal, could make it wait
// without end.
func openRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO is opened at once
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(info, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func regular(info fs.FileInfo, name string) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%s is a folder; name a file in it", printable(name))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file; save what it gives, or send it to the standard input of a command that takes -", printable(name))
	}
	return nil
}

// onceStdin checks that standard input is named once at most.
func onceStdin(names []string) error {
	seen := false
	for _, name := range names {
		if name == stdinName && seen {
			return errors.New("standard input can be read only once")
		}
		seen = seen || name == stdinName
	}
	return nil
}

// completeDocuments lets shells complete names of documents.
func completeDocuments(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// counts names how many there are of several things, such as "2 errors, 1 warning", and
// leaves out those of which there is none.
func counts(none string, numbers []int, nouns ...string) string {
	var parts []string
	for i, n := range numbers {
		if n > 0 {
			parts = append(parts, count(n, nouns[i]))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), none)
}
