package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/token"
)

func (p Process) decodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode [TOKEN|-]",
		Short: "Show what a token says, and whether it would be believed",
		Long: `Decode shows the header and the claims of a token, which is read from standard input when
it is - or missing, so that it stays out of the shell's history.

It is also verified as the gateway of the configuration would, and the exit code is 1 when
it would not pass. The network is used only when that configuration fetches keys from a
URL. Without a configuration, which is when none is named and there is no yett.yaml,
nothing is verified: anybody can write such a token.`,
		Example: `  yett token decode - < token.txt
  yett token decode -c /etc/yett/yett.yaml "$TOKEN"`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	file := p.configFlag(cmd)
	cmd.Flags().Lookup("config").Usage = "configuration file to verify with (default $YETT_CONFIG, else yett.yaml if it is there)"
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		raw, err := tokenFrom(strings.Join(append(args, "-")[:1], ""), cmd.InOrStdin())
		if err != nil {
			return err
		}
		d, err := decode(raw, time.Now())
		if err != nil {
			return err
		}
		var failed error
		if name, _ := p.Env("YETT_CONFIG"); name != "" || cmd.Flags().Changed("config") || isThere(file()) {
			failed = d.verify(cmd.Context(), p.options(file()), raw)
		}
		err = d.show(cmd.OutOrStdout(), *asJSON)
		if failed != nil { // which says more
			err = explain(failed, "nothing was verified")
		}
		return err
	}
	return cmd
}

// isThere tells whether there is a file, or something that can't be looked at.
func isThere(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// decoded is what a token says.
type decoded struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
	Times  []moment       `json:"times,omitempty"`
	// Verified is nil where nothing was verified.
	Verified *verdict `json:"verified"`
}

// moment is a claim that is a time.
type moment struct {
	Claim string    `json:"claim"`
	Time  time.Time `json:"time"`
	// Away is how far it is from now, for people.
	Away string `json:"away"`
}

// verdict is what a configuration makes of a token.
type verdict struct {
	Config string `json:"config"`
	Passes bool   `json:"passes"`
	// Issuer, Key and Algorithm are those that verified it.
	Issuer    string `json:"issuer,omitempty"`
	Key       string `json:"key,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	// Why says why it does not pass.
	Why string `json:"why,omitempty"`
}

func decode(raw string, now time.Time) (*decoded, error) {
	header, claims, err := token.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	d := &decoded{Header: header, Claims: claims}
	for _, name := range []string{"iat", "nbf", "auth_time", "exp"} {
		if at, ok := timeOf(claims[name]); ok {
			d.Times = append(d.Times, moment{name, at, away(at.Sub(now))})
		}
	}
	return d, nil
}

// timeOf reads a NumericDate (RFC 7519 section 2): seconds, maybe with a
// fraction.
func timeOf(claim any) (time.Time, bool) {
	var seconds float64
	switch v := claim.(type) {
	case float64:
		seconds = v
	case int64:
		seconds = float64(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return time.Time{}, false
		}
		seconds = f
	default:
		return time.Time{}, false
	}
	const lastYear = 253402300799 // that is written with four digits
	if math.IsNaN(seconds) || seconds < 0 || seconds > lastYear {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), true
}

// away says how far a time is off.
func away(d time.Duration) string {
	if rounded := d.Round(time.Second); rounded < 0 {
		return spoken(-rounded) + " ago"
	}
	return "in " + spoken(d.Round(time.Second))
}

// spoken writes a duration in its one or two largest units.
func spoken(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return count(int(d/day), "day") + " and " + count(int(d%day/time.Hour), "hour")
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// verify says what the gateway of a configuration makes of the token. The error
// is that of a configuration which can't be used.
func (d *decoded) verify(ctx context.Context, o app.Options, raw string) error {
	snap, err := app.Check(o)
	if err != nil {
		d.Verified = &verdict{Config: o.File, Why: "it can't be used"}
		return err
	}
	if jwksURL(snap.Config) {
		snap.Tokens().Start()
		defer snap.Tokens().Close()
		snap.Tokens().Wait(ctx)
	}
	v, reason, detail := snap.Tokens().Verify(raw, time.Now())
	d.Verified = &verdict{Config: o.File, Passes: reason == nil}
	if reason != nil {
		d.Verified.Why = because(reason, detail)
		return nil
	}
	d.Verified.Issuer, d.Verified.Key, d.Verified.Algorithm = v.Identity.Issuer, v.KeyID, v.Algorithm
	return nil
}

func (d *decoded) show(w io.Writer, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(w, d)
	} else {
		err = d.print(w)
	}
	if err == nil && d.Verified != nil && !d.Verified.Passes {
		return errNotVerified
	}
	return err
}

func (d *decoded) print(w io.Writer) error {
	p := &sheet{}
	for _, part := range []struct {
		label string
		value map[string]any
	}{{"header", d.Header}, {"claims", d.Claims}} {
		text, err := json.MarshalIndent(part.value, "", "  ")
		if err != nil {
			return fmt.Errorf("writing the %s: %w", part.label, err)
		}
		p.under(part.label)
		for line := range strings.SplitSeq(string(text), "\n") {
			p.line("%s", line)
		}
	}
	p.under("times")
	for _, m := range d.Times {
		p.line("%-9s %s, %s", m.Claim, m.Time.Format(time.RFC3339), m.Away)
	}
	p.under("verified")
	switch v := d.Verified; {
	case v == nil:
		p.line("no: without a configuration (-c, or a yett.yaml here) nothing was verified, anybody could have written this")
	case v.Passes:
		p.line("yes, by %s: issuer %s, key %s, algorithm %s", v.Config, v.Issuer, cmp.Or(v.Key, "without a name"), v.Algorithm)
	default:
		p.line("no, by %s: %s", v.Config, v.Why)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}
