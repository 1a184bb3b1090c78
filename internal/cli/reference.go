package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/exchange"
)

func (p Process) referenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "reference",
		Short:   "Write the generated pages of the documentation",
		Example: "  yett reference --dir docs/reference",
		Hidden:  true, // for those who build Yett
	}
	dir := cmd.Flags().String("dir", filepath.Join("docs", "reference"), "folder to write to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pages, err := referencePages()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return fmt.Errorf("making the folder of the reference: %w", err)
		}
		for _, page := range pages {
			name := filepath.Join(*dir, page.name)
			if err := os.WriteFile(name, page.text, 0o644); err != nil {
				return fmt.Errorf("writing the reference: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
		return nil
	}
	return cmd
}

// page is one generated file.
type page struct {
	name string
	text []byte
}

// referencePages makes everything in docs/reference.
func referencePages() ([]page, error) {
	schema, err := schema()
	if err != nil {
		return nil, err
	}
	return []page{
		{"configuration.md", []byte(config.Reference(catalog.Configs()))},
		{"errors.md", []byte(errorsPage(catalog.Reasons()))},
		{"yett.schema.json", schema},
	}, nil
}

// errorsPage is the reference of why the gateway answers by itself.
func errorsPage(reasons []*exchange.Reason) string {
	var b strings.Builder
	b.WriteString(`# Errors

Every refusal has a reason from this list, which ` + "`yett reference`" + ` writes. The reason is what the
access log and metrics show; status, code and message are what the caller gets:

` + "```json" + `
{"error": {"code": "NOT_FOUND", "message": "Nothing is here", "status": 404, "timestamp": "2025-01-31T09:30:00.000Z", "request_id": "…"}}
` + "```" + `

A 503 that says when to come back has ` + "`retryAfter`" + ` in seconds too. Status 499 is for the log alone: the
caller was gone.

| reason | status | code | message | cause and remedy |
|---|---|---|---|---|
`)
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, r := range reasons {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s |\n", r.Name, r.Status, r.Code, cell.Replace(r.Message), cell.Replace(r.Help))
	}
	return b.String()
}
