package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"yett/internal/catalog"
	"yett/internal/config"
)

func (p Process) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration",
		Long: `Schema prints the JSON Schema (draft 2020-12) of the configuration file, with which
editors complete keys, show what they mean, and mark mistakes.`,
		Example: `  yett schema > yett.schema.json
  # then, as the first line of yett.yaml:
  #   yaml-language-server: $schema=yett.schema.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
}

func schema() ([]byte, error) {
	schema, err := config.Schema(catalog.Configs())
	if err != nil {
		return nil, fmt.Errorf("making the schema: %w", err)
	}
	return schema, nil
}
