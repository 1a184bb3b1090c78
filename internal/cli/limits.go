package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/config"
	"yett/internal/problem"
)

const (
	limitsEndpoint = "limits"
	// defaultTop is how many keys of each limit are shown, and mostTop how many at most: a
	// gateway keeps no more.
	defaultTop = 5
	mostTop    = 128
	// redrawEvery is how often --watch asks.
	redrawEvery = time.Second
)

// limitsFlags are the words of the command line, of yett limits and what is below it.
type limitsFlags struct {
	pageFlags
	limit       string
	top         int
	watch, json bool
}

// common gives a verb the flags that both have.
func (f *limitsFlags) common(cmd *cobra.Command, p Process, limit string) (file func() string) {
	file = p.configFlag(cmd)
	cmd.Flags().StringVar(&f.limit, "limit", "", limit)
	f.add(cmd, limitsEndpoint)
	completeNames(cmd, "limit", p.Env, file, limitNames)
	return file
}

func limitNames(c *config.Config) []string { return c.Limits.Names() }

func (p Process) limitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Show who uses up limits",
		Long: `Limits asks the running gateway how its limits are used: what they have let pass and refused,
who is nearest to them, and who is refused most. It asks through the route with the
endpoint limits, with an access token that may use it. Each node shows what it has seen
itself since it started; keys are shown while somebody is near a limit, and a little longer.

On a terminal, --watch draws anew every second until Ctrl-C. Elsewhere it prints one after
the other, with --json one line each.`,
		Example: `  export YETT_TOKEN=...
  yett limits
  yett limits --watch --limit login
  yett limits --json | jq '.limits[] | {name, refused}'
  yett limits reset user:42`,
		Args: knownVerb,
	}
	var f limitsFlags
	file := f.common(cmd, p, "name of the only limit to show")
	flags := cmd.Flags()
	flags.IntVar(&f.top, "top", defaultTop, fmt.Sprintf("how many keys of each limit to show, up to the %d that a gateway keeps", mostTop))
	flags.BoolVarP(&f.watch, "watch", "w", false, "ask every second")
	flags.BoolVar(&f.json, "json", false, "print JSON, as the gateway answers")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.top < 0 || f.top > mostTop {
			return misuse(cmd, fmt.Errorf("--top is a number from 0 to %d: a gateway keeps no more keys of a limit", mostTop))
		}
		page, err := p.limitsPage(&f, file())
		if err != nil {
			return err
		}
		ask := func(ctx context.Context) (string, error) { return f.ask(ctx, page) }
		if f.watch {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return watch(ctx, p.screen(), ask)
		}
		text, err := ask(cmd.Context())
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	cmd.AddCommand(p.limitsResetCommand())
	return cmd
}

// limitsPage finds the page that shows the limits.
func (p Process) limitsPage(f *limitsFlags, file string) (gatewayPage, error) {
	f.token(p)
	if f.url != "" {
		return f.named(limitsEndpoint), nil
	}
	c, err := config.Load(file, p.Env)
	if err != nil {
		return gatewayPage{}, explain(err, "nobody was asked")
	}
	if _, ok := c.Limits.Get(f.limit); f.limit != "" && !ok {
		return gatewayPage{}, fmt.Errorf("there is no limit %q, %s", f.limit, problem.DidYouMean(f.limit, c.Limits.Names()))
	}
	return findPage(c, limitsEndpoint, http.MethodGet, "only a running gateway knows who uses what", "")
}

// ask returns what is to be printed.
func (f *limitsFlags) ask(ctx context.Context, page gatewayPage) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	q := url.Values{"top": {strconv.Itoa(f.top)}}
	if f.limit != "" {
		q.Set("limit", f.limit)
	}
	const nothing = "nothing can be shown"
	status, answer, err := page.send(ctx, pageRequest{method: http.MethodGet, query: q, bearer: f.bearer}, consequence{nothing, nothing})
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%s: %w", nothing, page.refusedBy(status, answer, f.bearer != ""))
	}
	var told admin.LimitsPage
	if err := json.Unmarshal(answer, &told); err != nil || told.Store.State == "" {
		return "", fmt.Errorf("%s: %w", nothing, page.noAnswer())
	}
	if f.json {
		return indented(answer, f.watch)
	}
	return limitsText(&told), nil
}

// indented writes JSON for people, or on one line where others follow.
func indented(answer []byte, others bool) (string, error) {
	var b bytes.Buffer
	write := func() error { return json.Indent(&b, answer, "", "  ") }
	if others {
		write = func() error { return json.Compact(&b, answer) }
	}
	if err := write(); err != nil {
		return "", err // Unmarshal has taken it
	}
	return b.String() + "\n", nil
}

// watch asks again and again and shows it, until ctx ends. When there is no answer
// once there was one, it goes on asking.
func watch(ctx context.Context, to screen, ask func(context.Context) (string, error)) error {
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	last := ""
	for {
		text, err := ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && last == "":
			return err
		case err != nil && to.redraws():
			text = last + "\n" + printable(err.Error()) + "\n"
		case err != nil:
			text = printable(err.Error()) + "\n"
		default:
			last = text
		}
		if err := to.show(text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// oneKey is the check of a reset.
func oneKey(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return errors.New("name the key, as yett limits shows it, such as user:42 or ip:203.0.113.7")
	case len(args) > 1:
		return errors.New("one key is reset at a time; quote a key that has a | in it")
	}
	return nil
}
