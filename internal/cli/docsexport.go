package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
)

// exportFlags are the words of the command line.
type exportFlags struct {
	version, format, output string
	wait                    time.Duration
	partial                 bool
}

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
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "longest time to wait for documents of services")
	cmd.Flags().BoolVar(&f.partial, "partial", false, "write it even when documents of services are missing")
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
	if f.version != openapi.Version30 && f.version != openapi.Version31 {
		return false, fmt.Errorf("--openapi is 3.0 or 3.1, not %q", f.version)
	}
	switch f.format {
	case "json", "yaml":
		return f.format == "yaml", nil
	case "":
		ext := strings.ToLower(filepath.Ext(f.output))
		return ext == ".yaml" || ext == ".yml", nil
	}
	return false, fmt.Errorf("--format is json or yaml, not %q", f.format)
}

func (p Process) exportDocs(ctx context.Context, f *exportFlags, file string, yaml bool) error {
	docs, err := p.documents(ctx, file, f.wait)
	if err != nil {
		return err
	}
	missing := 0
	for i := range docs.Sources {
		if s := &docs.Sources[i]; s.Phase != source.Good {
			missing++
			fmt.Fprintln(p.Stderr, "yett:", sourceLine(s))
		}
	}
	if missing > 0 && !f.partial {
		return errors.New("nothing was written, because documents of services are missing; start the services, or write it without them by --partial")
	}
	text := docs.Edition.File(f.version, yaml).Content()
	if f.output == "" {
		_, err = p.Stdout.Write(text)
		return err
	}
	if err := os.WriteFile(f.output, text, 0o644); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}

// documents gets the documents of the services, and makes the gateway's.
func (p Process) documents(ctx context.Context, file string, wait time.Duration) (*app.Documents, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	docs, err := app.NewDocuments(ctx, p.options(file))
	if err != nil {
		return nil, explain(err, "there is no document to show")
	}
	return docs, nil
}

// sourceLine says how the document of a service is.
func sourceLine(s *source.State) string {
	why := s.Problem
	if why == "" {
		why = "there was no answer in time; see --wait"
	}
	return fmt.Sprintf("the document of service %s (%s) can't be had: %s", s.Service, s.From, why)
}
