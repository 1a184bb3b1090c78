package app

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/telemetry"
)

// newHandler makes the gateway's own log: JSON lines like the access log's. Those
// of level error go to alsoErrors too.
func newHandler(level string, w, alsoErrors io.Writer) slog.Handler {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // the configuration has been checked
	}
	return slog.NewMultiHandler(
		slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: asAccessLog}),
		slog.NewJSONHandler(alsoErrors, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: asAccessLog}),
	)
}

// asAccessLog writes times and levels as the access log does, so that one
// query reads both: in UTC with milliseconds, and in lower case.
func asAccessLog(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Time:
		return slog.String(a.Key, v.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case slog.Level:
		return slog.String(a.Key, strings.ToLower(v.String()))
	}
	return a
}

// errorLines passes lines on to the file of errors, once there is one.
type errorLines struct {
	to atomic.Pointer[telemetry.AccessLog]
}

// use makes the errors of these logs, which may be nil, the place where lines go, if they
// are a file.
func (e *errorLines) use(conf *config.Config, logs *telemetry.Logs) {
	if logs != nil && isFile(errorsOutput(conf)) {
		e.to.Store(logs.Errors)
		return
	}
	e.to.Store(nil)
}

func (e *errorLines) Write(line []byte) (int, error) {
	if l := e.to.Load(); l != nil {
		return l.Write(line)
	}
	return len(line), nil
}

// openLogs opens the access log and that of errors where the configuration
// says. It returns nil when there is to be neither.
func openLogs(conf *config.Config, o Options, log *slog.Logger) (*telemetry.Logs, error) {
	c := conf.Log.Access
	options := telemetry.Options{
		Query: query(c.Query), Flush: time.Duration(c.Flush),
		OnError: func(err error) { log.Error("writing the access log failed", "error", err) },
	}
	open := func(output string) (*telemetry.AccessLog, error) {
		to := opener(conf, o, output)
		if to == nil {
			return nil, nil
		}
		return telemetry.NewAccessLog(to, options)
	}
	var logs telemetry.Logs
	var err error
	if logs.All, err = open(c.Output); err != nil {
		return nil, err
	}
	if logs.Errors, err = open(errorsOutput(conf)); err != nil {
		return nil, errors.Join(err, logs.Close())
	}
	if logs == (telemetry.Logs{}) {
		return nil, nil
	}
	return &logs, nil
}

// opener returns nil for no output.
func opener(conf *config.Config, o Options, output string) telemetry.Opener {
	switch output {
	case "off":
		return nil
	case "stdout":
		return telemetry.ToStream(o.Stdout)
	case "stderr":
		return telemetry.ToStream(o.Stderr)
	}
	return telemetry.ToFile(conf.Source.Resolve(output))
}

// isFile tells a file from the words that stand for other outputs.
func isFile(output string) bool {
	return output != "off" && output != "stdout" && output != "stderr"
}

// errorsOutput returns the output for errors, with auto replaced by what it
// means.
func errorsOutput(conf *config.Config) string {
	c := conf.Log.Access
	switch {
	case c.Errors != "auto":
		return c.Errors
	case !isFile(c.Output), isDevice(conf.Source.Resolve(c.Output)):
		return "off"
	}
	return besideFor(c.Output)
}

// isDevice tells that something is there which is no ordinary file, such as
// /dev/stdout or a named pipe.
func isDevice(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular()
}

// besideFor returns the file of errors beside a log: app-error.log beside
// app.log, and beside app.
func besideFor(file string) string {
	dir, name := filepath.Split(file)
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	if stem == "" { // .app: a hidden file, not an extension
		stem, ext = name, ""
	}
	return dir + stem + "-error" + cmp.Or(ext, ".log")
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
