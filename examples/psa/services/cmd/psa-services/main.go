// Command psa-services runs the example platform's auth, crm and tickets services until SIGINT or SIGTERM.
// It needs JWT_SECRET; AUTH_PORT, CRM_PORT, TICKETS_PORT, PSA_HOST, DEMO_PASSWORD and GATEWAY_URL are optional.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"yett/examples/psa/services"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("psa-services stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := services.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	cfg.Log = log
	platform, err := services.Run(ctx, cfg)
	if err != nil {
		return err
	}
	log.Info("psa-services ready", "auth", platform.AuthAddr, "crm", platform.CRMAddr, "tickets", platform.TicketsAddr)
	return platform.Wait()
}
