package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/store/memory"
)

// breakerFlags are the words of the command line.
type breakerFlags struct {
	pageFlags
	to, service, time string
}

func (p Process) breakerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "breaker",
		Short: "Open or close a service's breaker by hand",
		Long: `Breaker holds the breaker of a service open, so that the service is not called, or closed, so
that it is called whatever fails, and lets it go by itself again. It asks the running
gateway, through the route with the endpoint services, and with an access token that may
use it. A breaker with shared: true is held on all gateways of the store, any other on the
one that is asked; a restart ends it there.`,
		Example: `  export YETT_TOKEN=...
  yett breaker open tickets --for 10m     for maintenance
  yett breaker close tickets --for 1h     it is called whatever fails
  yett breaker reset tickets              it goes by itself again`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	open := p.breakerVerb(admin.BreakerOpen, "Stop calling a service",
		`Open holds the breaker of a service open: no request is sent to it, and each gets the answer
of an open breaker, 503 or the service's fallback.`)
	shut := p.breakerVerb(admin.BreakerClose, "Call a service whatever fails",
		`Close holds the breaker of a service closed: requests are sent to it, however many fail.`)
	reset := p.breakerVerb(admin.BreakerReset, "Let a breaker go by itself again",
		`Reset ends what open or close began, and closes a breaker that has opened by itself: the
service is called, and the breaker opens again when that fails.`)
	cmd.AddCommand(open, shut, reset)
	return cmd
}

// breakerVerb is one of the verbs below breaker.
func (p Process) breakerVerb(to, short, long string) *cobra.Command {
	f := &breakerFlags{to: to}
	cmd := &cobra.Command{
		Use: to + " SERVICE", Short: short, Long: long, Args: oneService,
		Example: fmt.Sprintf("  yett breaker %s tickets\n  yett breaker %s tickets --url https://api.example.org/internal/services", to, to),
	}
	file := p.configFlag(cmd)
	f.add(cmd, servicesEndpoint)
	completeWord(cmd, p.Env, file, serviceNames)
	if to != admin.BreakerReset {
		cmd.Flags().StringVar(&f.time, "for", "", "for how long, from 1s to 720h, such as 10m (default until it is reset)")
		cmd.Example += fmt.Sprintf("\n  yett breaker %s tickets --for 10m", to)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.service = args[0]
		if f.time != "" || cmd.Flags().Changed("for") {
			if _, err := admin.ReadHoldTime(to, f.time); err != nil {
				return misuse(cmd, fmt.Errorf("--%w", err))
			}
		}
		text, err := p.setBreaker(cmd.Context(), f, file())
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), printable(text)+"\n")
		return err
	}
	return cmd
}

func oneService(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return errors.New("name the service, as yett services shows it")
	case len(args) > 1:
		return errors.New("one breaker is switched at a time")
	}
	return nil
}

// setBreaker returns what is the case now.
func (p Process) setBreaker(ctx context.Context, f *breakerFlags, file string) (string, error) {
	f.token(p)
	page, err := p.servicesPage(&f.pageFlags, file, f.service, http.MethodPost)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	// There is no body, but the page wants to hear that it would be JSON.
	r := pageRequest{method: http.MethodPost, query: url.Values{"service": {f.service}, "breaker": {f.to}}, body: http.NoBody, bearer: f.bearer}
	if f.time != "" {
		r.query.Set("for", f.time)
	}
	told, _, err := page.askServices(ctx, r, consequence{nothing: "nothing was changed", unsure: "it is not certain that anything was changed"})
	if err != nil {
		return "", err
	}
	if len(told.Services) != 1 || told.Services[0].Breaker == nil {
		return "", fmt.Errorf("it is not certain that anything was changed: %w", page.noAnswer())
	}
	return breakerText(&told.Services[0], told.Store, page.url, time.Now()), nil
}

// breakerText says in a sentence or two what is the case now, by the gateway at that
// address.
func breakerText(s *admin.ServicePage, store *admin.StorePage, at string, now time.Time) string {
	b := s.Breaker
	who := "by the gateway at " + at + followers(b, store)
	if b.Held == "" {
		return fmt.Sprintf("the breaker of %s is %s and goes by itself again, %s", s.Name, strings.ToLower(breakerState(b)), who)
	}
	text := fmt.Sprintf("%s is held %s%s, %s: ", s.Name, b.Held, heldUntil(b.HeldUntil, now), who)
	switch {
	case b.Observes():
		text += "its breaker only observes, so requests pass all the same."
	case b.Held == "open":
		text += "every request gets 503, or the fallback where it has one."
	default:
		text += "requests are sent to it, whatever fails."
	}
	return text + fmt.Sprintf(" `yett breaker reset %s` ends it.", quote(s.Name))
}

// followers says who does the same as the gateway that was asked. store is nil where the
// gateway is an older one, which does not tell.
func followers(b *admin.BreakerPage, store *admin.StorePage) string {
	switch {
	case !b.Shared || store == nil:
		return ""
	case store.Name == memory.Name:
		return " alone (it is shared, but there is no store that others have too)"
	case store.State == admin.StoreLost:
		return " alone (its store is lost; others follow when it is back)"
	}
	return " and all that share its store"
}

// heldUntil shows a time as people's clocks do, with the day when it is another one.
func heldUntil(stamp string, now time.Time) string {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return ""
	}
	at = at.In(now.Location())
	layout := "15:04:05"
	if at.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = time.DateTime
	}
	return " until " + at.Format(layout)
}
