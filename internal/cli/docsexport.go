package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/problem"
)

// exportFlags are the words of the command line.
type exportFlags struct {
	version, format, output string
	wait                    time.Duration
	partial                 bool
}

var exportFormats = []string{"json", "yaml"}

func (p Process) docsExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the gateway's OpenAPI document",
		Long: `Export writes the document that the gateway with that configuration would serve: its own
routes, and what of the services' documents callers reach through it. It starts no gateway.
Documents that services serve themselves are fetched, so the services have to run; when
one can't be had, nothing is written, unless --partial says so.

A running gateway serves the same at the paths of the route with endpoint: docs.`,
		Example: `  yett docs export > openapi.json
  yett docs export --openapi 3.0 -o openapi.yaml`,
		Args: fileIsFlag,
	}
	var f exportFlags
	file := p.configFlag(cmd)
	cmd.Flags().StringVar(&f.version, "openapi", openapi.Version31, "version of OpenAPI: 3.1 or 3.0")
	cmd.Flags().StringVar(&f.format, "format", "", "json or yaml (default: as the name of the output ends, else json)")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "file to write to instead of standard output")
	waitFlag(cmd, &f.wait)
	cmd.Flags().BoolVar(&f.partial, "partial", false, "write it even when documents of services are missing")
	for name, values := range map[string][]string{"openapi": {openapi.Version31, openapi.Version30}, "format": exportFormats} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is not there
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		yaml, err := f.check()
		if err != nil {
			return misuse(cmd, err)
		}
		return p.exportDocs(cmd.Context(), &f, file(), yaml)
	}
	return cmd
}

// check reads the flags, and tells whether YAML is wanted.
func (f *exportFlags) check() (yaml bool, err error) {
	versions := []string{openapi.Version30, openapi.Version31}
	if !slices.Contains(versions, f.version) {
		return false, fmt.Errorf("--openapi is %q; write %s", f.version, strings.Join(versions, " or "))
	}
	if f.wait <= 0 {
		return false, errors.New("--wait is not more than 0s")
	}
	switch f.format {
	case "json", "yaml":
		return f.format == "yaml", nil
	case "":
		ext := strings.ToLower(filepath.Ext(f.output))
		return ext == ".yaml" || ext == ".yml", nil
	}
	return false, fmt.Errorf("--format is %q, %s", f.format, problem.DidYouMean(f.format, exportFormats))
}

func (p Process) exportDocs(ctx context.Context, f *exportFlags, file string, yaml bool) error {
	docs, err := p.documents(ctx, file, f.wait)
	if err != nil {
		return explain(err, "nothing was written")
	}
	missing := 0
	for i := range docs.Sources {
		if s := &docs.Sources[i]; s.Phase != source.Good {
			missing++
			fmt.Fprintln(p.Stderr, "yett:", printable(sourceLine(s)))
		}
	}
	if missing > 0 && !f.partial {
		return fmt.Errorf("nothing was written, because %s missing; start the services, or write the rest with --partial", countAre(missing, "document"))
	}
	text := exported(docs, f.version, yaml)
	if f.output == "" {
		_, err = p.Stdout.Write(text)
		return err
	}
	if err := replaceFile(f.output, text); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	_, err = fmt.Fprintf(p.Stdout, "%s: %s, OpenAPI %s\n", printable(f.output), count(docs.Edition.Operations(), "operation"), f.version)
	return err
}

// replaceFile writes a file whole or not at all: beside the one that is there, and then in its
// place. What a symbolic link leads to is replaced, a device such as /dev/null is written to.
func replaceFile(name string, text []byte) error {
	if to, err := filepath.EvalSymlinks(name); err == nil {
		name = to
	}
	mode := fs.FileMode(0o644)
	switch info, err := os.Stat(name); {
	case err != nil: // there is none, or writing says why
	case info.Mode()&fs.ModeCharDevice != 0:
		return os.WriteFile(name, text, mode)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file; leave out -o to write to standard output", printable(name))
	default:
		mode = info.Mode().Perm()
	}
	temporary := fmt.Sprintf("%s.%d.tmp", name, os.Getpid())
	err := writeNew(temporary, text, mode)
	if err == nil {
		err = os.Rename(temporary, name)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		os.Remove(temporary)
	}
	return err
}

// writeNew writes a file that must not be there yet.
func writeNew(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// exported is the document as a file: what the gateway serves, with line breaks in JSON too,
// so that one file can be compared with the next.
func exported(docs *app.Documents, version string, yaml bool) []byte {
	text := docs.Edition.File(version, yaml).Content()
	if yaml {
		return text
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return text // it was written as JSON
	}
	return append(b.Bytes(), '\n')
}

// waitFlag gives a verb the flag --wait.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 10*time.Second, "longest time to wait for documents of services")
}

// countAre is count as the subject of a sentence.
func countAre(n int, noun string) string {
	if n == 1 {
		return count(n, noun) + " is"
	}
	return count(n, noun) + " are"
}

// documents gets the documents of the services, and makes the gateway's.
func (p Process) documents(ctx context.Context, file string, wait time.Duration) (*app.Documents, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return app.NewDocuments(ctx, p.options(file))
}

// sourceLine says why the document of a service can't be had.
func sourceLine(s *source.State) string {
	return fmt.Sprintf("the document of the service %s (%s) can't be had: %s", s.Service, s.From, whyMissing(s))
}

func whyMissing(s *source.State) string {
	return cmp.Or(s.Problem, "there was no answer in time; --wait says how long that is")
}
