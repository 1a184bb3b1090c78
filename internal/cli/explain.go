package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/access"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/gateway"
	"yett/internal/policy/ratelimit"
	"yett/internal/policy/validate"
)

func (p Process) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Say what a request would meet, without sending it",
		Long: `Explain takes a request through the gateway of a configuration, by the code that serves,
and says what it meets: where it comes from, what it loses at the door, its route and why,
what each policy decides and why, what the service would be sent, and the answer. No
service is called. Secrets in what is printed are hidden.

With --documents the services are asked for their OpenAPI documents, as the gateway asks
them, and the policy validate says which operation it is. Documents in files are read anyway.

Who calls is said by --token, which the issuers' keys verify, or by --as: a role, a caller
such as '{role: technician, tenant: t-1}', or the name of one in the table of --tests. The
token of --as is made up, and believed for this once, so no secret is needed.

Nothing is counted. With a store in Redis, what callers have used of limits is read there;
with the store in memory only the running gateway knows that, see yett limits. Beside that
the network is used only with --documents, and with --token, where an issuer's keys are
fetched from a URL.

The exit code is 0 when the request could be explained, whether it passes or not. With
--expect, it is 1 when something else was expected.`,
		Example: `  yett explain GET /api/v1/customers
  yett explain DELETE https://api.example.org/api/v1/customers/7 --as technician
  yett explain GET /api/v1/customers --token - < token.txt
  yett explain GET / --ip 10.0.0.1 -H 'X-Forwarded-For: 203.0.113.7'
  yett explain GET /api/v1/protected/admin --as technician --expect 403
  yett explain GET /api/v1/tickets/7 --as technician --documents`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []cobra.Completion{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, cobra.ShellCompDirectiveNoFileComp
		},
	}
	file := p.configFlag(cmd)
	var q question
	flags := cmd.Flags()
	flags.StringArrayVarP(&q.header, "header", "H", nil, "header field as 'Name: value'; may be repeated")
	flags.StringVarP(&q.body, "data", "d", "", "body")
	flags.StringVar(&q.token, "token", "", "token to send as Authorization: Bearer; - reads standard input")
	flags.StringVar(&q.as, "as", "", "caller whose token is made up: a role, '{role: ..., tenant: ...}', or a name of --tests")
	flags.StringVar(&q.tests, "tests", "", "table of yett test, for its callers, variables and configuration")
	flags.StringVar(&q.ip, "ip", "127.0.0.1", "other end of the client's connection")
	flags.StringVar(&q.listener, "listener", "", "name of the listener that is asked (default the first)")
	flags.BoolVar(&q.documents, "documents", false, "ask services for their OpenAPI documents")
	flags.StringVar(&q.expect, "expect", "", "what has to come of it: pass, a status, a code, a reason, or several")
	asJSON := flags.Bool("json", false, "print JSON")
	flags.Lookup("tests").Annotations = flags.Lookup("config").Annotations
	completeNames(cmd, "listener", p.Env, file, listenerNames)
	completeNames(cmd, "as", p.Env, file, func(c *config.Config) []string { return append(c.Roles.Names(), access.Anonymous) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.stdin, q.named = cmd.InOrStdin(), cmd.Flags().Changed("config")
		if err := q.check(); err != nil {
			return misuse(cmd, err)
		}
		e, err := q.ask(cmd.Context(), p.options(file()), args[0], args[1])
		if err != nil {
			return explain(err, "nothing could be explained")
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), e)
		} else {
			err = e.print(cmd.OutOrStdout())
		}
		return errors.Join(err, e.unexpected(q.expect))
	}
	return cmd
}

// question is what explain is asked, beside method and URL.
type question struct {
	header                                       []string
	body, token, as, tests, ip, listener, expect string
	documents                                    bool
	named                                        bool // the configuration is, by --config
	stdin                                        io.Reader
}

// check reports what is wrong with the flags by themselves.
func (q *question) check() error {
	if _, err := netip.ParseAddr(q.ip); err != nil {
		return fmt.Errorf("--ip: %q is not an IP address", q.ip)
	}
	if q.token != "" && q.as != "" {
		return errors.New("--token and --as both say who calls: give one")
	}
	if _, err := access.ParseExpectation(cmp.Or(q.expect, "pass")); err != nil {
		return fmt.Errorf("--expect: %w", err)
	}
	return nil
}

// explanation is what explain answers.
type explanation struct {
	Config string `json:"config"`
	// As says who the made-up caller is.
	As    string   `json:"as,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// Guards says what guards the service that answers, as it is configured.
	Guards []string `json:"guards,omitempty"`
	*gateway.Walk
}

// ask walks the request through the gateway.
func (q *question) ask(ctx context.Context, o app.Options, method, url string) (*explanation, error) {
	table, err := q.table(&o)
	if err != nil {
		return nil, err
	}
	peer, err := netip.ParseAddr(q.ip)
	if err != nil {
		return nil, err // check has seen it
	}
	request := app.Request{Method: method, URL: url, Header: q.header, Body: []byte(q.body), Peer: peer, Listener: q.listener}
	open := app.NewWalker
	if q.as != "" {
		open = app.NewKeylessWalker
	}
	w, err := open(o)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	e := &explanation{Config: o.File}
	if unset := w.Unset(); len(unset) > 0 {
		e.Notes = append(e.Notes, stoodIn(unset))
	}
	raw, err := q.caller(w, table, e)
	if err != nil {
		return nil, err
	}
	if q.token != "" {
		w.Snapshot().Tokens().Start()
		defer w.Snapshot().Tokens().Close()
		w.Snapshot().Tokens().Wait(ctx)
	}
	if q.documents {
		showDocuments(ctx, w)
	}
	lost := w.ShowStore(ctx)
	if e.Walk, err = w.Walk(access.WithToken(request, raw)); err != nil {
		return nil, err
	}
	e.Guards = w.Guards()
	e.note(w, url, q.listener)
	e.noteLimits(w, lost)
	e.noteDocument(w, q.documents)
	return e, nil
}

// documentsTime is how long explain waits for the documents of services.
const documentsTime = 5 * time.Second

func showDocuments(ctx context.Context, w *app.Walker) {
	ctx, cancel := context.WithTimeout(ctx, documentsTime)
	defer cancel()
	w.ShowDocuments(ctx)
}

// noteDocument says why nothing is known of the operation that the request meets. asked tells
// that services were asked for their documents.
func (e *explanation) noteDocument(w *app.Walker, asked bool) {
	reached := slices.ContainsFunc(e.Policies, func(s gateway.Step) bool { return s.Policy == validate.Kind.Name && len(s.Says) > 0 })
	if e.Route == nil || !reached {
		return
	}
	src := w.Snapshot().Documents().Of(serviceOf(w, e.Route.Name))
	if src == nil || src.Loaded() != nil {
		return
	}
	st := src.State()
	switch {
	case st.Problem != "":
		e.Notes = append(e.Notes, sourceLine(&st))
	case asked:
		e.Notes = append(e.Notes, fmt.Sprintf("the service %s did not answer with its document in time", st.Service))
	default:
		e.Notes = append(e.Notes, fmt.Sprintf("the document of the service %s is its own to give; --documents asks for it, and says which operation this is", st.Service))
	}
}

// table reads the table of --tests and takes over what it says of the
// configuration.
func (q *question) table(o *app.Options) (*access.File, error) {
	if q.tests == "" {
		return nil, nil
	}
	table, err := loadTable(q.tests, o.Env)
	if err != nil {
		return nil, err
	}
	if !q.named {
		o.File = cmp.Or(table.ConfigFile(), o.File)
	}
	o.Env = table.Environment(o.Env)
	if q.listener == "" {
		q.listener = table.Listener
	}
	return table, nil
}

// caller returns the token of who asks, "" for nobody.
func (q *question) caller(w *app.Walker, table *access.File, e *explanation) (string, error) {
	switch {
	case q.token != "":
		return tokenFrom(q.token, q.stdin)
	case q.as == "" || q.as == access.Anonymous:
		return "", nil
	case table != nil:
		e.As = q.as + " of " + q.tests
		return table.Token(w, q.as)
	}
	e.As = q.as
	c, name := &access.Caller{Role: config.StringList{q.as}}, q.as
	if strings.HasPrefix(q.as, "{") {
		var err error
		if c, err = access.ParseCaller(q.as); err != nil {
			return "", errors.New("--as: " + err.Error()) // these problems are of no file
		}
		name = cmp.Or(strings.Join(c.Role, "-"), "somebody")
	}
	conf := w.Snapshot().Config
	if _, err := access.Issuer(conf, c.Issuer); c.Token == "" {
		if which, ok := errors.AsType[access.WhichIssuer](err); ok {
			return "", fmt.Errorf("--as: %w; say which: --as %s", err, quote(ofIssuer(q.as, which[0])))
		}
	}
	if err := c.Check(conf); err != nil {
		return "", errors.New("--as: " + err.Error())
	}
	mint, err := access.NewMint(conf, w.Snapshot().Tokens())
	if err != nil {
		return "", err
	}
	return mint.Token(name, c, time.Now())
}

// ofIssuer writes a caller of --as with an issuer.
func ofIssuer(as, issuer string) string {
	inner := "role: " + as
	if strings.HasPrefix(as, "{") {
		inner = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(as[1:]), "}"))
	}
	if inner != "" {
		inner += ", "
	}
	return "{" + inner + "issuer: " + issuer + "}"
}

// stoodIn says that variables are not set, and why that makes no difference.
func stoodIn(unset []string) string {
	verb := "is"
	if len(unset) > 1 {
		verb = "are"
	}
	return fmt.Sprintf("${%s} %s not set: something made up stood in, because no issuer's key is asked", strings.Join(unset, "}, ${"), verb)
}

// tokenFrom returns the token of a flag or argument, without what is around it
// in a header: - is standard input.
func tokenFrom(word string, stdin io.Reader) (string, error) {
	if word == "-" {
		const most = 1 << 20
		data, err := io.ReadAll(io.LimitReader(stdin, most))
		if err != nil {
			return "", fmt.Errorf("reading the token from standard input: %w", err)
		}
		word = string(data)
	}
	word = strings.TrimSpace(word)
	if scheme, rest, ok := strings.Cut(word, " "); ok && strings.EqualFold(scheme, "Bearer") {
		word = strings.TrimSpace(rest)
	}
	if word == "" {
		return "", errors.New("there is no token")
	}
	return word, nil
}

// note says where the walk may differ from what the question means.
func (e *explanation) note(w *app.Walker, url, listener string) {
	l := w.Snapshot().Listeners[0]
	for _, other := range w.Snapshot().Listeners {
		if listener != "" && other.Name == listener {
			l = other
		}
	}
	e.Request.Listener = cmp.Or(l.Name, l.Address)
	scheme, _, _ := strings.Cut(url, "://")
	switch {
	case strings.EqualFold(scheme, "https") && l.TLS == nil && !e.Request.TLS:
		e.Notes = append(e.Notes, "the URL says https and the listener has no TLS: for a proxy in front, say --ip and -H 'X-Forwarded-Proto: https'")
	case strings.EqualFold(scheme, "http") && l.TLS != nil:
		e.Notes = append(e.Notes, "the URL says http, and the listener takes TLS alone")
	}
	if !slices.Contains(l.Protocols, "http1") {
		e.Notes = append(e.Notes, "the listener speaks HTTP/2 alone; the request was read as HTTP/1.1")
	}
}

// noteLimits says what is not known of the limits that the request meets. lost is why the
// store could not be asked, or nil.
func (e *explanation) noteLimits(w *app.Walker, lost error) {
	if !slices.ContainsFunc(e.Policies, func(s gateway.Step) bool { return s.Policy == ratelimit.Kind.Name }) {
		return
	}
	const asUnused = "limits are shown as if nothing were used"
	switch {
	case w.Snapshot().Store == nil:
		e.Notes = append(e.Notes, asUnused+": the store is in memory, so only the running gateway knows more; yett limits asks it")
	case lost != nil:
		e.Notes = append(e.Notes, asUnused+": "+lost.Error())
	case w.StoreLost():
		e.Notes = append(e.Notes, asUnused+": the store "+w.Snapshot().Store.Where()+" did not answer in time; try again")
	}
}

// serviceOf returns the name of a route's service, "" where it has none.
func serviceOf(w *app.Walker, route string) string {
	for _, r := range w.Snapshot().Routes() {
		if r.Name == route {
			return r.Config().Service
		}
	}
	return ""
}

// unexpected says what else was expected, nil if nothing.
func (e *explanation) unexpected(expect string) error {
	if expect == "" {
		return nil
	}
	want, err := access.ParseExpectation(expect)
	if err != nil || want.Holds(e.Walk) {
		return err
	}
	return fmt.Errorf("expected %s, got %s", want, access.Describe(e.Walk))
}
