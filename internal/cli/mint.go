package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/access"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/exchange"
)

func (p Process) mintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mint",
		Short: "Make a token, for development",
		Long: `Mint makes a token as an issuer of the configuration would, and signs it with the secret
that the configuration has. Standard output gets the token and nothing else. When the
gateway would not let it pass, standard error says why.

Whoever can run this with a configuration can be anybody: secrets of real issuers have no
place where people develop.`,
		Example: `  yett token mint --role technician --tenant t-1
  curl -H "Authorization: Bearer $(yett token mint --role tenant_admin)" localhost:3000/api/v1/customers
  yett token mint --subject u-1 --expires 1h --claim 'nbf=1767225600' --claim 'groups=["a","b"]'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("a role is given by --role")
			}
			return nil
		},
	}
	file := p.configFlag(cmd)
	var m mint
	flags := cmd.Flags()
	flags.StringVar(&m.issuer, "issuer", "", "name of the issuer in the configuration (default the only one, or the only one with a secret)")
	flags.StringVar(&m.id.Subject, "subject", "developer", "who it is")
	flags.StringVar(&m.id.Email, "email", "", "email address")
	flags.StringArrayVar(&m.id.Roles, "role", nil, "role; may be repeated")
	flags.StringVar(&m.id.Tenant, "tenant", "", "tenant")
	flags.StringVar(&m.id.Plan, "plan", "", "plan that the caller pays for")
	flags.StringArrayVar(&m.id.Permissions, "permission", nil, "permission; may be repeated")
	flags.StringArrayVar(&m.id.Scopes, "scope", nil, "scope; may be repeated")
	flags.DurationVar(&m.expires, "expires", 15*time.Minute, "how long the token is good")
	flags.StringArrayVar(&m.claims, "claim", nil, "claim as name=JSON, instead of what follows from the rest, null to leave it out; may be repeated")
	completeNames(cmd, "issuer", p.Env, file, func(c *config.Config) []string { return c.Issuers.Names() })
	completeNames(cmd, "role", p.Env, file, func(c *config.Config) []string { return c.Roles.Names() })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		overrides, err := parseClaims(m.claims)
		if err != nil {
			return misuse(cmd, err)
		}
		return m.make(p.options(file()), overrides, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// mint is what a token is to say.
type mint struct {
	issuer  string
	id      exchange.Identity
	expires time.Duration
	claims  []string
}

func (m *mint) make(o app.Options, overrides map[string]any, out, warnings io.Writer) error {
	snap, err := app.Check(o)
	if err != nil {
		return explain(err, "no token was made")
	}
	issuer, err := m.signer(snap.Config)
	if err != nil {
		return err
	}
	if err := withSecret(snap.Config, issuer); err != nil {
		return err
	}
	m.id.Role = strings.Join(m.id.Roles, ",")
	now := time.Now()
	raw, err := access.Sign(snap.Tokens(), issuer, m.id, now, m.expires, overrides)
	if err != nil {
		return err
	}
	if _, reason, detail := snap.Tokens().Verify(raw, now); reason != nil {
		fmt.Fprintf(warnings, "yett: the gateway would refuse this token: %s\n", because(reason, detail))
	}
	_, err = fmt.Fprintln(out, raw)
	return err
}

// signer returns the issuer whose token it is to be: the one that is named, or
// the only one whose tokens can be made.
func (m *mint) signer(c *config.Config) (string, error) {
	var able []string
	for _, e := range c.Issuers {
		if hasSecret(&e.Value) {
			able = append(able, e.Name)
		}
	}
	if m.issuer == "" && len(able) == 1 {
		return able[0], nil
	}
	name, err := access.Issuer(c, m.issuer)
	if which, ok := errors.AsType[access.WhichIssuer](err); ok {
		return "", fmt.Errorf("%w; say which: --issuer %s", err, append(able, which...)[0])
	}
	return name, err
}

// because says why something is refused.
func because(reason *exchange.Reason, detail string) string {
	text := fmt.Sprintf("%d %s, reason %s", reason.Status, reason.Code, reason.Name)
	if detail != "" {
		text += ": " + detail
	}
	return text
}

// parseClaims reads claims as name=JSON.
func parseClaims(list []string) (map[string]any, error) {
	claims := make(map[string]any, len(list))
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim: write name=JSON, such as tier=\"gold\", not %q", text)
		}
		v, err := parseJSON(value)
		if err != nil {
			return nil, fmt.Errorf("--claim %s: %w; a text needs quotes, as in --claim '%s=\"text\"'", name, err, name)
		}
		claims[name] = v
	}
	return claims, nil
}

// parseJSON reads one value, with numbers as they are written.
func parseJSON(text string) (any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}
