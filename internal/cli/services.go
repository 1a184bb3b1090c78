package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/config"
	"yett/internal/problem"
)

const servicesEndpoint = "services"

// servicesFlags are the words of the command line.
type servicesFlags struct {
	pageFlags
	service     string // "" for all
	watch, json bool
}

func serviceNames(c *config.Config) []string { return c.Services.Names() }

func (p Process) servicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "services [SERVICE]",
		Short: "Show how services and their targets are",
		Long: `Services asks the running gateway how its services are: how their breakers stand, what is in
flight, how long answers take, what failed and was tried again, and which targets are used.
It asks through the route with the endpoint services, with an access token that may use it.
Each node shows what it has seen itself since it started.

On a terminal, --watch draws anew every second until Ctrl-C. Elsewhere it prints one after
the other, with --json one line each.`,
		Example: `  export YETT_TOKEN=...
  yett services
  yett services tickets --watch
  yett services --json | jq '.services[] | select(.breaker.state == "OPEN").name'`,
		Args: atMostOneService,
	}
	var f servicesFlags
	file := p.configFlag(cmd)
	f.add(cmd, servicesEndpoint)
	completeWord(cmd, p.Env, file, serviceNames)
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "ask every second")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, as the gateway answers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			f.service = args[0]
		}
		return p.showServices(cmd.Context(), &f, file())
	}
	return cmd
}

func atMostOneService(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return errors.New("one service is shown, or all of them when none is named")
	}
	if len(args) == 1 && args[0] == "" {
		return errors.New("the name of the service is empty")
	}
	return nil
}

func (p Process) showServices(ctx context.Context, f *servicesFlags, file string) error {
	f.token(p)
	page, err := p.servicesPage(&f.pageFlags, file, f.service, http.MethodGet)
	if err != nil {
		return err
	}
	ask := func(ctx context.Context) (string, error) { return f.ask(ctx, page) }
	to := p.screen()
	if !f.json {
		to = p.painted(paintStates)
	}
	if f.watch {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return watch(ctx, to, ask)
	}
	text, err := ask(ctx)
	if err != nil {
		return err
	}
	return to.print(text)
}

// servicesPage finds the page that shows services, or switches the breaker of that one.
func (p Process) servicesPage(f *pageFlags, file, service, method string) (gatewayPage, error) {
	if f.url != "" {
		return f.named(servicesEndpoint), nil
	}
	c, err := config.Load(file, p.Env)
	if err != nil {
		return gatewayPage{}, explain(err, "nobody was asked")
	}
	if _, ok := c.Services.Get(service); service != "" && !ok {
		return gatewayPage{}, noService(service, c.Services.Names())
	}
	return findPage(c, servicesEndpoint, method, "only a running gateway knows how its services are", "")
}

func noService(name string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("there is no service %q, nor any other", name)
	}
	return fmt.Errorf("there is no service %q, %s", name, problem.DidYouMean(name, known))
}

// ask returns what is to be printed.
func (f *servicesFlags) ask(ctx context.Context, page gatewayPage) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	const nothing = "nothing can be shown"
	r := pageRequest{method: http.MethodGet, query: url.Values{}, bearer: f.bearer}
	if f.service != "" {
		r.query.Set("service", f.service)
	}
	told, answer, err := page.askServices(ctx, r, consequence{nothing, nothing})
	switch {
	case err != nil:
		return "", err
	case f.json:
		return indented(answer, f.watch)
	}
	return servicesText(told), nil
}

// askServices asks the page, and returns its answer as it is too.
func (g gatewayPage) askServices(ctx context.Context, r pageRequest, means consequence) (*admin.ServicesPage, []byte, error) {
	status, answer, err := g.send(ctx, r, means)
	switch {
	case err != nil:
		return nil, nil, err
	case status == http.StatusBadRequest:
		return nil, nil, fmt.Errorf("%s: %w", means.nothing, g.unknownService(ctx, r, answer))
	case status != http.StatusOK:
		return nil, nil, fmt.Errorf("%s: %w", means.nothing, g.refusedBy(status, answer, r.bearer != ""))
	}
	told := new(admin.ServicesPage)
	if err := json.Unmarshal(answer, told); err != nil || told.Services == nil {
		return nil, nil, fmt.Errorf("%s: %w", means.unsure, g.noAnswer())
	}
	return told, answer, nil
}

// unknownService says why a request was refused as a bad one. When that may be because of the
// service's name, it asks which there are: the refusal does not say.
func (g gatewayPage) unknownService(ctx context.Context, r pageRequest, answer []byte) error {
	refused := g.refusedBy(http.StatusBadRequest, answer, r.bearer != "")
	name := r.query.Get("service")
	status, all, err := g.send(ctx, pageRequest{method: http.MethodGet, bearer: r.bearer}, consequence{})
	var told admin.ServicesPage
	if name == "" || err != nil || status != http.StatusOK || json.Unmarshal(all, &told) != nil {
		return refused
	}
	names := make([]string, len(told.Services))
	for i, s := range told.Services {
		if names[i] = printable(s.Name); s.Name == name {
			return refused
		}
	}
	return fmt.Errorf("%s: %w", g.url, noService(name, names))
}
