package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/openapi"
)

func (p Process) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [--from-openapi FILE...]",
		Short: "Write a configuration to begin with",
		Long: `Init writes a configuration that passes check, with comments that say what to change. From
OpenAPI documents it makes a service for each, and routes that let their operations pass and
little else: one for each prefix that a document's paths have, with the methods that are
documented. Operations without security get routes of their own with auth: none; all others
want a token.`,
		Example: `  yett init -o yett.yaml
  yett init --from-openapi tickets.yaml -o yett.yaml
  yett init --from-openapi crm.json tickets.yaml --exact > yett.yaml`,
	}
	var i initial
	flags := cmd.Flags()
	flags.StringArrayVar(&i.files, "from-openapi", nil, "file with an OpenAPI document; further ones may follow, or the flag may be repeated")
	flags.StringVarP(&i.output, "output", "o", "", "file to write (default standard output)")
	flags.BoolVar(&i.force, "force", false, "overwrite the file")
	flags.BoolVar(&i.exact, "exact", false, "one route for each path, instead of one for each prefix")
	cmd.Args = func(_ *cobra.Command, args []string) error { return i.check(args) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		i.files = append(i.files, args...)
		return i.run(cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// initial is what a first configuration is made of.
type initial struct {
	files        []string
	output       string
	force, exact bool
}

func (i *initial) check(args []string) error {
	for _, file := range append(i.files[:len(i.files):len(i.files)], args...) {
		if strings.Contains(file, "://") {
			return fmt.Errorf("%s is a URL, and nothing is fetched; save the document and name the file", printable(quote(file)))
		}
	}
	switch {
	case len(args) > 0 && len(i.files) == 0:
		return fmt.Errorf("a document is given by --from-openapi: yett init --from-openapi %s", printable(quote(args[0])))
	case i.exact && len(i.files) == 0:
		return errors.New("--exact is about the paths of documents; add --from-openapi")
	case i.force && i.output == "":
		return errors.New("--force is about a file; add -o")
	}
	return nil
}

func (i *initial) run(out, notes io.Writer) error {
	text := starter
	if len(i.files) > 0 {
		docs, err := i.read()
		if err != nil {
			return err
		}
		if text, err = configurationOf(docs, i.exact); err != nil {
			return err
		}
	}
	if i.output == "" {
		_, err := io.WriteString(out, text)
		return err
	}
	if err := i.write(text); err != nil {
		return err
	}
	_, err := fmt.Fprintf(notes, "wrote %s; see what it means: yett routes -c %s\n", i.output, quote(i.output))
	return err
}

// write makes the file. One that is there stays, unless it may be overwritten.
func (i *initial) write(text string) error {
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if i.force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(i.output, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; write to another file, or overwrite it with --force", i.output)
	}
	if err != nil {
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

// sourceDocument is a document and the service that it is about.
type sourceDocument struct {
	file    string // as messages call it
	written string // as the configuration names it
	service string
	doc     *openapi.Document
}

// read reads all documents.
func (i *initial) read() ([]*sourceDocument, error) {
	var docs []*sourceDocument
	taken := make(map[string]bool)
	for _, file := range i.files {
		d, err := readDocument(file, nil)
		if err != nil {
			return nil, explain(err, "no configuration was written")
		}
		d.Upgrade()
		written, err := i.relative(file)
		if err != nil {
			return nil, err
		}
		name := unique(taken, serviceName(d, file))
		docs = append(docs, &sourceDocument{file: file, written: written, service: name, doc: d})
	}
	return docs, nil
}

// relative returns a file's name as the configuration has to write it: beginning at its folder.
func (i *initial) relative(file string) (string, error) {
	if filepath.IsAbs(file) {
		return file, nil
	}
	from, err := filepath.Abs(filepath.Dir(i.output)) // "." for standard output
	if err != nil {
		return "", fmt.Errorf("finding the way to %s: %w", file, err)
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("finding the way to %s: %w", file, err)
	}
	name, err := filepath.Rel(from, to)
	if err != nil {
		return to, nil
	}
	return filepath.ToSlash(name), nil
}

// serviceName makes a name of a document's title, or of its file.
func serviceName(d *openapi.Document, file string) string {
	if name := slug(d.Root.Get("info").Str("title")); name != "" {
		return name
	}
	base := filepath.Base(file)
	if name := slug(strings.TrimSuffix(base, filepath.Ext(base))); name != "" {
		return name
	}
	return "service"
}

// slug returns letters and digits of a text in lower case, with hyphens between.
func slug(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// unique returns a name that nobody else has, and takes it.
func unique(taken map[string]bool, name string) string {
	own := name
	for n := 2; taken[own]; n++ {
		own = fmt.Sprintf("%s-%d", name, n)
	}
	taken[own] = true
	return own
}
