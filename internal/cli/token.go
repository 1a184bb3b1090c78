package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"yett/internal/config"
)

func (p Process) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token for development, or read one",
		Example: `  yett token mint --role technician --tenant t-1
  yett token decode - < token.txt`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.mintCommand(), p.decodeCommand())
	return cmd
}

// withSecret checks that an issuer's tokens can be made here: that the
// configuration has the secret with which it signs.
func withSecret(c *config.Config, issuer string) error {
	conf, _ := c.Issuers.Get(issuer)
	if hasSecret(conf) {
		return nil
	}
	return fmt.Errorf("the configuration has no secret of the issuer %s: it only knows keys that verify, so %s alone can make tokens; "+
		"to try the configuration out without one, use yett explain --as, or yett test", issuer, issuer)
}

func hasSecret(i *config.Issuer) bool {
	return slices.ContainsFunc(i.Keys, func(k config.KeySource) bool { return k.Secret != "" })
}

// jwksURL tells whether keys of some issuer are fetched.
func jwksURL(c *config.Config) bool {
	for _, e := range c.Issuers {
		if slices.ContainsFunc(e.Value.Keys, func(k config.KeySource) bool { return k.JWKSURL != "" }) {
			return true
		}
	}
	return false
}

var errNotVerified = errors.New("the gateway would not let this token pass")
