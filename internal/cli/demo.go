package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"yett/examples/psa"
	"yett/examples/psa/services"
	"yett/internal/app"
	"yett/internal/config"
)

func (p Process) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it: the gateway with three services behind it",
		Long: `Demo starts a small platform in one process: the services auth, crm and tickets on ports
3001 to 3003 of this machine, and the gateway on port 3000. It prints commands to try, and
ends with Ctrl-C. Nothing is kept.

  PORT                                 port of the gateway
  AUTH_PORT, CRM_PORT, TICKETS_PORT    ports of the services
  JWT_SECRET                           key of their tokens; a new one when unset
  DEMO_PASSWORD                        password of the users
  REDIS_HOST                           where state is kept, in memory when unset
  LOG_LEVEL                            debug, info, warn or error; warn when unset`,
		Example: `  yett demo
  PORT=8080 yett demo
  yett demo --config examples/psa/yett.yaml`,
		Args: fileIsFlag,
	}
	file := cmd.Flags().StringP("config", "c", "", "configuration file instead of the one that is built in")
	completeYAML(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context(), *file) }
	return cmd
}

// demo runs the services around the gateway: they start before it and stop
// after it.
func (p Process) demo(ctx context.Context, file string) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p.Env = withTokenSecret(p.Env)
	platform, stopPlatform, err := p.startPlatform()
	if err != nil {
		return err
	}
	go func() { fail(platform.Wait()) }() // without services there is nothing to show
	err = serve(ctx, p.demoOptions(file, platform), &single{}, func(a *app.App) error {
		p.introduce(platform, a)
		return showDemo(p.Stdout, platform, a.Addr(0), p.getenv("DEMO_PASSWORD"))
	})
	return errors.Join(err, stopPlatform())
}

// introduce tells the services where the gateway is that takes revocations,
// unless the environment has told them, or it takes none.
func (p Process) introduce(platform *services.Platform, a *app.App) {
	_, _, takes := endpointRoute(a.Config(), revocationsEndpoint, http.MethodPost)
	host, port, err := net.SplitHostPort(a.Addr(0).String())
	if p.getenv("GATEWAY_URL") == "" && takes && err == nil && a.Config().Listeners[0].TLS == nil {
		platform.SetGateway("http://" + net.JoinHostPort(local(host), port))
	}
}

func (p Process) getenv(name string) string {
	value, _ := p.Env(name)
	return value
}

// withTokenSecret adds a secret for tokens, which services and gateway share,
// unless the environment has one.
func withTokenSecret(env config.Env) config.Env {
	if secret, _ := env("JWT_SECRET"); secret != "" {
		return env
	}
	return config.Overlay(config.MapEnv(map[string]string{"JWT_SECRET": rand.Text() + rand.Text()}), env)
}

// startPlatform starts the services.
func (p Process) startPlatform() (platform *services.Platform, stop func() error, err error) {
	cfg, err := services.FromEnv(p.getenv)
	if err != nil {
		return nil, nil, err
	}
	cfg.Log = slog.New(slog.NewJSONHandler(p.Stderr, &slog.HandlerOptions{Level: p.demoLevel()}))
	ctx, cancel := context.WithCancel(context.Background())
	platform, err = services.Run(ctx, cfg)
	if err != nil {
		cancel()
		if at, ok := busyAddress(err); ok {
			err = fmt.Errorf("%s; choose another with AUTH_PORT, CRM_PORT or TICKETS_PORT", describeBusy(at))
		}
		return nil, nil, err
	}
	return platform, func() error { cancel(); return platform.Wait() }, nil
}

// demoLevel is the least level of what the services log. That of LOG_LEVEL is checked with the
// gateway's configuration.
func (p Process) demoLevel() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(p.getenv("LOG_LEVEL"))); err != nil {
		return slog.LevelWarn
	}
	return l
}

// demoOptions are those of the gateway: the services are where they really
// are, and the gateway's own log says no more than what is wrong, because the
// commands to try are to be read, unless LOG_LEVEL says otherwise.
func (p Process) demoOptions(file string, platform *services.Platform) app.Options {
	o := p.options(file)
	if file == "" {
		o.File, o.Source = "examples/psa/yett.yaml", psa.Config()
	}
	o.Env = config.Overlay(
		config.MapEnv(map[string]string{
			"AUTH_SERVICE_URL":    "http://" + platform.AuthAddr,
			"CRM_SERVICE_URL":     "http://" + platform.CRMAddr,
			"TICKETS_SERVICE_URL": "http://" + platform.TicketsAddr,
		}),
		p.Env,
		config.MapEnv(map[string]string{"LOG_LEVEL": "warn"})) // the first that has one wins
	o.Waiting = func(grace time.Duration) {
		fmt.Fprintf(p.Stderr, "stopping: requests still run, at most %s; Ctrl-C again ends at once\n", config.Duration(grace))
	}
	return o
}
