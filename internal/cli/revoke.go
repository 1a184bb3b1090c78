package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/revocation"
	"yett/internal/snapshot"
	"yett/internal/store/redis"
	"yett/internal/token"
)

// revokeFlags are the words of the command line.
type revokeFlags struct {
	token, id, sum, subject string
	before, expires         string
	url, bearer             string
	timeout                 time.Duration
}

func (p Process) revokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "End a token, or all tokens of somebody",
		Long: `Revoke makes gateways refuse a token from now on: a whole token, the one with a jti, or
the one with a SHA-256; or all tokens of a subject that were issued before a moment.

With a store in Redis it writes there, whether a gateway runs or not, and all gateways
of that store follow within a second. Otherwise it asks the running gateway, through
the route with the endpoint revocations, and with an access token that may use it.

A whole token that has ended by itself is not revoked. One that the gateway would not let
pass is, with a warning: it may be cut off, and the real one go on.

A token on the command line is seen by all users of the machine: --token - reads it
from the standard input, and YETT_TOKEN holds the access token.`,
		Example: `  yett revoke --token - < token.txt
  yett revoke --jti 6f1c0f6e-2a5d-4a4e-9a57-0a8f6a0f8f31 --expires 15m
  yett revoke --subject 42                                   log user 42 out everywhere
  yett revoke --subject 42 --before 2026-01-31T09:30:00Z
  YETT_TOKEN=$ADMIN yett revoke --jti abc --url https://api.example.org/internal/revocations`,
		Args: noWords,
	}
	file := p.configFlag(cmd)
	var f revokeFlags
	flags := cmd.Flags()
	flags.StringVar(&f.token, "token", "", "whole token, or - to read it from the standard input")
	flags.StringVar(&f.id, "jti", "", "ID of a token")
	flags.StringVar(&f.sum, "sha256", "", "SHA-256 of a whole token, in hexadecimal digits")
	flags.StringVar(&f.subject, "subject", "", "subject whose tokens are revoked")
	flags.StringVar(&f.before, "before", "", "with --subject: only tokens issued before that time (default now)")
	flags.StringVar(&f.expires, "expires", "", "when the last of these tokens ends by itself, as a time or as how long from now (default the token's exp, else 24h)")
	flags.StringVar(&f.url, "url", "", "address of the running gateway's revocations, which is asked instead of the store")
	flags.StringVar(&f.bearer, "bearer", "", "access token for the running gateway (default $YETT_TOKEN)")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "longest time to wait")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asked, err := f.revocation(cmd.InOrStdin(), time.Now())
		if err != nil {
			return misuse(cmd, err)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
		defer cancel()
		done, err := p.revoke(ctx, f, file(), asked)
		if err != nil {
			return err
		}
		if done.warning != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "yett:", done.warning)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), done.text)
		return err
	}
	return cmd
}

// noWords refuses words without repeating them: a token may be among them.
func noWords(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("a token is given by --token -, which reads it from standard input")
	}
	return nil
}

// revoked is what came of it: a line, and what to think of.
type revoked struct{ text, warning string }

// hasEnded is the line for a token that need not be revoked.
const hasEnded = "nothing to revoke: the token has ended by itself"

// revocation is what the flags ask for.
func (f revokeFlags) revocation(stdin io.Reader, now time.Time) (r admin.Revocation, err error) {
	given := 0
	for _, target := range []string{f.token, f.id, f.sum, f.subject} {
		if target != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return r, errors.New("give exactly one of --token, --jti, --sha256 and --subject")
	case f.before != "" && f.subject == "":
		return r, errors.New("--before goes with --subject")
	}
	r = admin.Revocation{Token: f.token, ID: f.id, Sum: f.sum, Subject: f.subject}
	if f.token != "" {
		if r.Token, err = tokenFrom(f.token, stdin); err != nil {
			return r, fmt.Errorf("--token: %w", err)
		}
	}
	if r.IssuedBefore, err = readTime("--before", f.before, now); err != nil {
		return r, err
	}
	if f.subject != "" && r.IssuedBefore.IsZero() {
		r.IssuedBefore = now
	}
	if r.Expires, err = readTime("--expires", f.expires, now); err != nil {
		return r, err
	}
	_, err = r.Entries(now)
	return r, f.named(err)
}

// named says what is wrong with the flag that was written. Times are shown,
// tokens and what may be one are not.
func (f revokeFlags) named(err error) error {
	m, ok := errors.AsType[*admin.Mistake](err)
	if !ok {
		return err
	}
	switch m.Field {
	case "token":
		return fmt.Errorf("--token %s", m.What)
	case "token_sha256":
		return fmt.Errorf("--sha256 %s", m.What)
	case "expires":
		return fmt.Errorf("--expires %s %s", f.expires, m.What)
	case "issued_before":
		return fmt.Errorf("--before %s %s", f.before, m.What)
	}
	return err
}

// readTime takes a time, seconds since 1970, or how long from now. Nothing is
// the zero time.
func readTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s %s is no time; write a time such as 2026-01-31T09:30:00Z, seconds since 1970, or a duration such as 15m", flag, shown(text))
	}
	return at, nil
}

// shown quotes what is no time, unless it is so long that it may be a token.
func shown(text string) string {
	if len(text) > 40 {
		return "(too long to be shown)"
	}
	return strconv.Quote(text)
}

// revoke returns what is revoked, where and until when.
func (p Process) revoke(ctx context.Context, f revokeFlags, file string, asked admin.Revocation) (done revoked, err error) {
	if f.bearer == "" {
		f.bearer = p.getenv("YETT_TOKEN")
	}
	if f.url != "" {
		return askToRevoke(ctx, gatewayPage{probe: probe{url: f.url}, endpoint: revocationsEndpoint}, f.bearer, asked)
	}
	c, err := config.Load(file, p.Env)
	if err != nil {
		return done, explain(err, "nothing was revoked")
	}
	o, err := snapshot.Store(c)
	if err != nil {
		return done, explain(err, "nothing was revoked")
	}
	if o != nil {
		ended, warning := examine(ctx, c, f.timeout/2, asked)
		if ended {
			return revoked{text: hasEnded}, nil
		}
		done.warning = warning
		done.text, err = writeRevocation(ctx, o, asked)
		return done, err
	}
	page, err := findRevocations(c)
	if err != nil {
		return done, err
	}
	return askToRevoke(ctx, page, f.bearer, asked)
}

// examine asks the configuration's issuers about a whole token. Keys that can't
// be had, or not in that time, are no reason to say anything: it is revoked in
// any case.
func examine(ctx context.Context, c *config.Config, limit time.Duration, asked admin.Revocation) (ended bool, warning string) {
	if asked.Token == "" || len(c.Issuers) == 0 {
		return false, ""
	}
	v, problems := token.New(c.Issuers, token.Deps{Resolve: c.Source.Resolve})
	defer v.Close()
	if len(problems) > 0 {
		return false, ""
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(ctx, v.Close)()
	v.Start()
	v.Wait(ctx)
	return asked.Examine(v, time.Now())
}

// writeRevocation writes into the store itself.
func writeRevocation(ctx context.Context, o *redis.Options, asked admin.Revocation) (string, error) {
	s, err := app.OpenStore(ctx, o)
	if s != nil {
		defer s.Close()
	}
	if err != nil {
		return "", fmt.Errorf("nothing was revoked: %w; --url asks a running gateway instead", err)
	}
	entries, err := asked.Entries(time.Now())
	if err != nil {
		return "", err
	}
	if err := revocation.Write(ctx, s, entries...); err != nil {
		return "", fmt.Errorf("it is not certain that anything was revoked: %w; try again", err)
	}
	return fmt.Sprintf("revoked %s until %s, on all gateways of the store %s within a second",
		describe(asked), entries[0].Expires.UTC().Format(time.RFC3339), o.Where()), nil
}

// describe says what is revoked, without saying a token.
func describe(r admin.Revocation) string {
	switch {
	case r.ID != "":
		return fmt.Sprintf("the token with the jti %q", r.ID)
	case r.Sum != "":
		return "the token with the SHA-256 " + strings.ToLower(r.Sum)
	case r.Subject != "":
		return fmt.Sprintf("all tokens of the subject %q issued before %s", r.Subject, r.IssuedBefore.UTC().Format(time.RFC3339))
	}
	return "the token"
}
