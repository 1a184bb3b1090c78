package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/apidocs"
	"yett/internal/config"
	"yett/internal/openapi/source"
)

const docsEndpoint = "docs_status"

// coverageFlags are the words of the command line.
type coverageFlags struct {
	pageFlags
	service   string // "" for all
	all, json bool
}

func (p Process) docsCoverageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "coverage [SERVICE]",
		Short: "Hold what is documented against what is called",
		Long: `Coverage asks the running gateway which operations of the services' documents were never
called, which calls no document knows, and how many requests and answers were not what the
document says. It asks through the route with the endpoint docs_status, with an access token
that may use it. Each node counts what it has seen itself since it started.

Calls are counted on routes with the policy validate; with mode: observe it refuses nothing.`,
		Example: `  export YETT_TOKEN=...
  yett docs coverage
  yett docs coverage crm --all
  yett docs coverage --json | jq '.services[].unknown'`,
		Args: atMostOneService,
	}
	var f coverageFlags
	file := p.configFlag(cmd)
	f.add(cmd, docsEndpoint)
	completeWord(cmd, p.Env, file, serviceNames)
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "list all operations, those too that are called and well")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, as the gateway answers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			f.service = args[0]
		}
		return p.showCoverage(cmd.Context(), &f, file())
	}
	return cmd
}

func (p Process) showCoverage(ctx context.Context, f *coverageFlags, file string) error {
	f.token(p)
	page, err := p.coveragePage(f, file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	const nothing = "nothing can be shown"
	r := pageRequest{method: http.MethodGet, query: url.Values{}, bearer: f.bearer}
	if f.service != "" {
		r.query.Set("service", f.service)
	}
	status, answer, err := page.send(ctx, r, consequence{nothing, nothing})
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return fmt.Errorf("%s: %w", nothing, page.refusedBy(status, answer, f.bearer != ""))
	}
	var told admin.DocsPage
	if err := json.Unmarshal(answer, &told); err != nil || told.Services == nil {
		return fmt.Errorf("%s: %w", nothing, page.noAnswer())
	}
	if f.json {
		text, err := indented(answer, false)
		return errors.Join(err, p.screen().print(text))
	}
	return p.screen().print(coverageText(&told, f.all))
}

func (p Process) coveragePage(f *coverageFlags, file string) (gatewayPage, error) {
	if f.url != "" {
		return f.named(docsEndpoint), nil
	}
	c, err := config.Load(file, p.Env)
	if err != nil {
		return gatewayPage{}, explain(err, "nobody was asked")
	}
	if _, ok := c.Services.Get(f.service); f.service != "" && !ok {
		return gatewayPage{}, noService(f.service, c.Services.Names())
	}
	return findPage(c, docsEndpoint, http.MethodGet, "only a running gateway knows what is called", "")
}

// coverageText is the page for people: a line for each service, and what is worth a look
// below it.
func coverageText(page *admin.DocsPage, all bool) string {
	var b strings.Builder
	for i := range page.Services {
		coverageOf(&b, &page.Services[i], all)
	}
	if len(page.Left) > 0 {
		b.WriteString("documented, and not in the gateway's document:\n")
		for _, l := range page.Left {
			fmt.Fprintf(&b, "  %s %s %s: %s\n", printable(l.Service), printable(l.Method), printable(l.Path), printable(l.Why))
		}
	}
	return b.String()
}

func coverageOf(b *strings.Builder, s *admin.DocumentedPage, all bool) {
	fmt.Fprintf(b, "%s: %s\n", printable(s.Service), coverageSummary(s))
	if s.Problem != "" {
		fmt.Fprintf(b, "  the latest document can't be used: %s\n", printable(s.Problem))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(b, "  not checked: %s\n", printable(n))
	}
	if s.State == apidocs.StateNone || !s.Watched {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range s.Calls {
		if note := callNote(&c); all || note != "" {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", printable(c.Method), printable(c.Path), times(c.Calls), note)
		}
	}
	for _, u := range s.Unknown {
		fmt.Fprintf(w, "  %s\t%s\t%s\tnot documented\n", printable(u.Method), printable(u.Path), times(u.Calls))
	}
	_ = w.Flush() // a strings.Builder takes everything
	if s.MoreUnknown > 0 {
		fmt.Fprintf(b, "  and %d more calls that are not documented, of too many kinds to list\n", s.MoreUnknown)
	}
}

// coverageSummary says in one line how a service stands.
func coverageSummary(s *admin.DocumentedPage) string {
	switch {
	case s.State == apidocs.StateNone:
		return "no document; name one by openapi of the service"
	case s.State == source.Waiting:
		return "no document yet, from " + printable(s.From)
	case !s.Watched:
		return fmt.Sprintf("%d operations, and nobody counts: no route to it has the policy validate", len(s.Calls))
	}
	called, unknown := 0, s.MoreUnknown
	for _, c := range s.Calls {
		if c.Calls > 0 {
			called++
		}
	}
	for _, u := range s.Unknown {
		unknown += u.Calls
	}
	text := fmt.Sprintf("%d of %d operations were called, %d calls are not documented", called, len(s.Calls), unknown)
	if len(s.UnwatchedRoutes) > 0 {
		text += "; not counted on " + printable(strings.Join(s.UnwatchedRoutes, ", "))
	}
	if s.State == source.Stale {
		text += "; by the last good document"
	}
	return text
}

// callNote says what is worth a look about an operation, "" for nothing.
func callNote(c *admin.CallPage) string {
	var notes []string
	if c.Calls == 0 {
		notes = append(notes, "never called")
	}
	if len(c.Public) == 0 {
		notes = append(notes, "no route leads to it")
	}
	for _, n := range []struct {
		count int64
		what  string
	}{{c.BadRequests, "requests are not what it says"}, {c.BadAnswers, "answers are not what it says"}, {c.Unchecked, "too large to look at"}} {
		if n.count > 0 {
			notes = append(notes, strconv.FormatInt(n.count, 10)+" "+n.what)
		}
	}
	return strings.Join(slices.Compact(notes), ", ")
}
