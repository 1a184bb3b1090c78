package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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

Calls are counted on routes with the policy validate; with mode: observe it refuses nothing.
Paths are those of the services. Operations of which all is well are left out without --all.`,
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
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "list all operations, those too of which all is well")
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
	r := pageRequest{method: http.MethodGet, query: url.Values{}, bearer: f.bearer}
	if f.service != "" {
		r.query.Set("service", f.service)
	}
	told, answer, err := page.askDocs(ctx, r)
	if err != nil {
		return fmt.Errorf("nothing can be shown: %w", err)
	}
	if f.json {
		text, err := indented(answer, false)
		return errors.Join(err, p.screen().print(text))
	}
	return p.screen().print(coverageText(told, f.all))
}

// askDocs asks the page, and returns its answer as it is too.
func (g gatewayPage) askDocs(ctx context.Context, r pageRequest) (*admin.DocsPage, []byte, error) {
	status, answer, err := g.send(ctx, r, consequence{"nobody was asked", "there is no answer"})
	switch {
	case err != nil:
		return nil, nil, err
	case status == http.StatusBadRequest:
		return nil, nil, g.unknownDocumented(ctx, r, answer)
	case status != http.StatusOK:
		return nil, nil, g.refusedBy(status, answer, r.bearer != "")
	}
	told := new(admin.DocsPage)
	if err := json.Unmarshal(answer, told); err != nil || told.Services == nil {
		return nil, nil, g.noAnswer()
	}
	return told, answer, nil
}

// unknownDocumented says why a request was refused as a bad one. When that may be because of
// the service's name, it asks which there are: the refusal does not say.
func (g gatewayPage) unknownDocumented(ctx context.Context, r pageRequest, answer []byte) error {
	refused := g.refusedBy(http.StatusBadRequest, answer, r.bearer != "")
	name := r.query.Get("service")
	if name == "" {
		return refused
	}
	told, _, err := g.askDocs(ctx, pageRequest{method: http.MethodGet, bearer: r.bearer})
	if err != nil {
		return refused
	}
	names := make([]string, len(told.Services))
	for i, s := range told.Services {
		if names[i] = printable(s.Service); s.Service == name {
			return refused
		}
	}
	return fmt.Errorf("%s: %w", g.url, noService(name, names))
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
	if len(page.Services) == 0 {
		return "there are no services in its configuration\n"
	}
	var b strings.Builder
	well := 0
	for i := range page.Services {
		well += coverageOf(&b, &page.Services[i], all)
	}
	writeLeft(&b, page.Left, all)
	if well > 0 {
		fmt.Fprintf(&b, "%s called, and all is well; --all lists what was left out\n", countAre(well, "operation"))
	}
	return b.String()
}

// writeLeft lists what is not in the gateway's document. What is hidden on purpose is only there
// for all.
func writeLeft(b *strings.Builder, left []admin.LeftPage, all bool) {
	if left = slices.DeleteFunc(slices.Clone(left), func(l admin.LeftPage) bool { return l.Hidden && !all }); len(left) == 0 {
		return
	}
	b.WriteString("documented, and not in the gateway's document:\n")
	for _, l := range left {
		if l.Method == "" { // of the whole service
			fmt.Fprintf(b, "  %s\n", printable(l.Why))
		}
	}
	aligned(b, func(w *tabwriter.Writer) {
		for _, l := range left {
			if l.Method != "" {
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", printable(l.Service), printable(l.Method), printable(l.Path), printable(l.Why))
			}
		}
	})
}

// reached tells whether callers get to an operation.
func reached(c *admin.CallPage) bool { return len(c.Public) > 0 || c.Hidden }

// coverageOf writes what is worth a look of a service, all of it for all. It returns of
// how many operations it says nothing because they are called, and all is well.
func coverageOf(b *strings.Builder, s *admin.DocumentedPage, all bool) (well int) {
	sum := sumUp(s)
	fmt.Fprintf(b, "%s: %s\n", printable(s.Service), sum.words(s))
	if s.Problem != "" {
		fmt.Fprintf(b, "  its latest document can't be used: %s\n", printable(s.Problem))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(b, "  not checked: %s\n", printable(n))
	}
	if !s.Watched {
		return 0
	}
	aligned(b, func(w *tabwriter.Writer) {
		for i := range s.Calls {
			c := &s.Calls[i]
			if !all && !worthALook(c) {
				if c.Calls > 0 {
					well++
				}
				continue
			}
			writeCalls(w, c.Method, c.Path, c.Calls, callNote(c))
		}
		for _, u := range s.Unknown {
			writeCalls(w, u.Method, u.Path, u.Calls, "not documented")
		}
	})
	if s.MoreUnknown > 0 {
		fmt.Fprintf(b, "  and %s not documented, of too many kinds to list\n", count(int(s.MoreUnknown), "further call"))
	}
	return well
}

func writeCalls(w io.Writer, method, path string, calls int64, note string) {
	often := "never called"
	if calls > 0 {
		often = times(calls)
	}
	if note != "" {
		often += "\t" + printable(note)
	}
	fmt.Fprintf(w, "  %s\t%s\t%s\n", printable(method), printable(path), often)
}

// worthALook tells whether there is something about an operation that callers can reach:
// what no route leads to is listed by itself.
func worthALook(c *admin.CallPage) bool {
	if !reached(c) && c.Calls == 0 {
		return false
	}
	return c.Calls == 0 || !reached(c) || c.BadRequests+c.BadAnswers+c.Unchecked > 0
}

// callNote says what came of the calls of an operation beside their number, "" for nothing.
func callNote(c *admin.CallPage) string {
	var notes []string
	if bad := counts("", []int{int(c.BadRequests), int(c.BadAnswers)}, "bad request", "bad answer"); bad != "" {
		notes = append(notes, bad)
	}
	if c.Unchecked > 0 {
		notes = append(notes, fmt.Sprintf("%d too large to look at", c.Unchecked))
	}
	switch {
	case c.Hidden:
		notes = append(notes, "hidden")
	case !reached(c):
		notes = append(notes, "not in the gateway's document")
	case !slices.Contains(c.Public, c.Path):
		notes = append(notes, "for callers "+strings.Join(c.Public, " and "))
	}
	return strings.Join(notes, ", ")
}

// coverageSum is what came of all operations of a service.
type coverageSum struct {
	// operations are those that callers can reach, called how many of them were called.
	operations, called               int
	unknown, badRequests, badAnswers int64
}

func sumUp(s *admin.DocumentedPage) coverageSum {
	sum := coverageSum{unknown: s.MoreUnknown}
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.Calls > 0 {
			sum.called++
		}
		if reached(c) || c.Calls > 0 {
			sum.operations++
		}
		sum.badRequests += c.BadRequests
		sum.badAnswers += c.BadAnswers
	}
	for _, u := range s.Unknown {
		sum.unknown += u.Calls
	}
	return sum
}

// words say in one line how a service stands.
func (sum coverageSum) words(s *admin.DocumentedPage) string {
	switch {
	case s.State == apidocs.StateNone:
		return "no document; the configuration names one by openapi of the service"
	case s.State == source.Waiting:
		return "no document yet, from " + printable(s.From)
	case !s.Watched:
		return count(sum.operations, "operation") + "; calls are not counted, because no route to it has the policy validate"
	}
	text := fmt.Sprintf("%d of %s called", sum.called, count(sum.operations, "operation"))
	if more := counts("", []int{int(sum.unknown), int(sum.badRequests), int(sum.badAnswers)}, "undocumented call", "bad request", "bad answer"); more != "" {
		text += "; " + more
	}
	if len(s.UnwatchedRoutes) > 0 {
		text += "; not counted on the route " + printable(strings.Join(s.UnwatchedRoutes, ", "))
	}
	if s.State == source.Stale {
		text += "; by the last good document, of " + printable(s.Loaded)
	}
	return text
}
