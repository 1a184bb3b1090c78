package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"yett/internal/openapi"
)

// sourceDocument is a document and the service that it is about.
type sourceDocument struct {
	file    string // as messages call it
	written string // as the configuration names it
	service string
	doc     *openapi.Document
}

// title is how people call it.
func (d *sourceDocument) title() string { return d.doc.Root.Get("info").Str("title") }

// read reads all documents.
func (i *initial) read() ([]*sourceDocument, error) {
	var docs []*sourceDocument
	taken := make(map[string]bool)
	for _, file := range i.files {
		d, err := readDocument(file, nil)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s; no configuration was written", printable(quote(file)))
		}
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
	folder := "."
	if !i.toStdout() {
		folder = filepath.Dir(i.output)
	}
	from, err := filepath.Abs(folder)
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

// serviceName makes a name of a document's title, of its file, or of the folder, the first
// that says something.
func serviceName(d *openapi.Document, file string) string {
	base := filepath.Base(file)
	for _, text := range []string{d.Root.Get("info").Str("title"), strings.TrimSuffix(base, filepath.Ext(base)), filepath.Base(filepath.Dir(file))} {
		if name := withoutGeneral(slug(text)); name != "" {
			return name
		}
	}
	return "service"
}

// withoutGeneral takes words off a name's end that every service's name could have.
func withoutGeneral(name string) string {
	for {
		cut := strings.LastIndexByte(name, '-') + 1
		if !slices.Contains([]string{"service", "api", "openapi", "swagger", "spec", "document"}, name[cut:]) {
			return name
		}
		name = strings.TrimSuffix(name[:cut], "-")
	}
}

// slug returns letters and digits of a text in lower case, without their accents, with
// hyphens between.
func slug(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ReplaceAll(strings.ToLower(text), "ß", "ss")) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // an accent
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
