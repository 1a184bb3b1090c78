package app

import (
	"io"
	"log/slog"
	"time"

	"yett/internal/config"
	"yett/internal/telemetry"
)

// newLog makes the gateway's own log: JSON lines like the access log's.
func newLog(level string, w io.Writer) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // the configuration has been checked
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// openAccessLog opens the access log where the configuration says. It returns
// nil when there is to be none.
func openAccessLog(conf *config.Config, o Options, log *slog.Logger) (*telemetry.AccessLog, error) {
	c := conf.Log.Access
	var to telemetry.Opener
	switch c.Output {
	case "off":
		return nil, nil
	case "stdout":
		to = telemetry.ToStream(o.Stdout)
	case "stderr":
		to = telemetry.ToStream(o.Stderr)
	default:
		to = telemetry.ToFile(conf.Source.Resolve(c.Output))
	}
	return telemetry.NewAccessLog(to, telemetry.Options{
		Query: query(c.Query), Flush: time.Duration(c.Flush),
		OnError: func(err error) { log.Error("writing the access log failed", "error", err) },
	})
}

func query(word string) telemetry.Query {
	switch word {
	case "keep":
		return telemetry.QueryKeep
	case "drop":
		return telemetry.QueryDrop
	}
	return telemetry.QueryRedact
}
