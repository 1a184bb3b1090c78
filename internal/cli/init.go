package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (p Process) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [--from-openapi FILE... | --from-env FILE]",
		Short: "Write a configuration to begin with",
		Long: `Init writes a configuration that passes check, with comments that say what to change. From
OpenAPI documents it makes a service for each, and routes that let their operations pass and
little else: one for each prefix that a document's paths have, with the methods that are
documented. Operations without security get routes of their own with auth: none; all others
want a token. An operation that several documents have gets no route; a comment says so.

The gateway itself answers at /health, and shows all operations at /api-docs.

From the .env of the Express gateway that this one replaces it makes the configuration that
answers as that did, with routes for the services whose address is set; docs/MIGRATION.md
tells what differs. The file's values are read where the gateway starts, and never copied.
Values that yett check would refuse, such as a sample of a secret, are refused here too.`,
		Example: `  yett init -o yett.yaml
  yett init --from-openapi tickets.yaml -o yett.yaml
  yett init --from-openapi crm.json tickets.yaml --exact > yett.yaml
  yett init --from-env .env -o yett.yaml`,
	}
	var i initial
	flags := cmd.Flags()
	flags.StringArrayVar(&i.files, "from-openapi", nil, "file with an OpenAPI document; further ones may follow, or the flag may be repeated")
	flags.StringVar(&i.env, "from-env", "", "file with the environment of the Express gateway")
	flags.StringVarP(&i.output, "output", "o", "", "file to write (default standard output, as - is)")
	flags.BoolVar(&i.force, "force", false, "overwrite the file")
	flags.BoolVar(&i.exact, "exact", false, "one route for each path, instead of one for each prefix")
	cmd.Args = func(_ *cobra.Command, args []string) error { return i.check(args) }
	cmd.ValidArgsFunction = completeDocuments
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		i.files = append(i.files, args...)
		return i.run(p, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// initial is what a first configuration is made of.
type initial struct {
	files        []string
	env          string
	output       string
	force, exact bool
}

// toStdout tells whether standard output is written to.
func (i *initial) toStdout() bool { return i.output == "" || i.output == "-" }

func (i *initial) check(args []string) error {
	if len(args) > 0 && len(i.files) == 0 {
		return fmt.Errorf("a document is given by --from-openapi: yett init --from-openapi %s", printable(quote(args[0])))
	}
	switch {
	case i.env != "" && len(i.files) > 0:
		return errors.New("a configuration is made of documents or of an environment; leave out --from-openapi or --from-env")
	case i.env != "" && !i.toStdout() && sameFile(i.env, i.output):
		return fmt.Errorf("%s is the environment, which would be overwritten; write to another file", printable(quote(i.env)))
	case i.exact && len(i.files) == 0:
		return errors.New("--exact is about the paths of documents; add --from-openapi")
	case i.force && i.toStdout():
		return errors.New("--force is about a file; add -o")
	}
	return i.checkFiles(slices.Concat(i.files, args))
}

// checkFiles refuses names that can't be those of documents in a configuration.
func (i *initial) checkFiles(files []string) error {
	for n, file := range files {
		shown := printable(quote(file))
		switch {
		case file == "":
			return errors.New("the name of a document is empty; --from-openapi wants a file")
		case file == stdinName:
			return errors.New("the configuration names its documents, and standard input has no name; save the document and name the file")
		case strings.Contains(file, "://"):
			return fmt.Errorf("%s is a URL, and nothing is fetched; save the document and name the file", shown)
		case slices.ContainsFunc(files[:n], func(other string) bool { return sameFile(file, other) }):
			return fmt.Errorf("%s is named twice, and a document makes one service", shown)
		case !i.toStdout() && sameFile(file, i.output):
			return fmt.Errorf("%s is the document, which would be overwritten; write to another file", shown)
		}
	}
	return nil
}

// sameFile tells whether two names are those of one file.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// mostInitText is how long a configuration may be, in bytes.
const mostInitText = 1 << 20

func (i *initial) run(process Process, out, notes io.Writer) error {
	text, told := starter, starterTold()
	if i.env != "" {
		var err error
		if text, told, err = i.fromEnv(process); err != nil {
			return err
		}
	}
	if len(i.files) > 0 {
		docs, err := i.read()
		if err != nil {
			return err
		}
		p, err := newInitPlan(docs, i.exact)
		if err != nil {
			return err
		}
		text, told = p.text(), p.told()
		if len(text) > mostInitText {
			return fmt.Errorf("the configuration for %s would be longer than the 1MB that yett reads; leave some documents out, or try without --exact", count(len(p.operations.routed), "operation"))
		}
	}
	if i.toStdout() {
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	} else if err := i.write(text); err != nil {
		return err
	}
	return told.print(notes, i)
}

// write makes the file. One that is there stays, unless it may be overwritten.
func (i *initial) write(text string) error {
	if at, err := os.Stat(i.output); err == nil && at.IsDir() {
		return fmt.Errorf("%s is a folder; name a file in it", i.output)
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if i.force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(i.output, mode, 0o644)
	switch folder := filepath.Dir(i.output); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already; write to another file, or overwrite it with --force", i.output)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s to write to; make it first: mkdir -p %s", folder, quote(folder))
	case err != nil:
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}
