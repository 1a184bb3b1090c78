package app

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/telemetry"
	"yett/internal/telemetry/console"
	"yett/internal/telemetry/logfile"
)

// The files that lines for stdout and stderr go to where there is a directory for logs.
const (
	dirLog       = "yett.log"
	dirErrorsLog = "yett-error.log"
)

// logs are where a gateway writes: its own lines, one line for each request, and errors a second time.
// None of them keeps anybody waiting. Each can be replaced while it is used.
type logs struct {
	options Options
	log     *slog.Logger
	level   slog.LevelVar
	own     telemetry.Slot
	// ownErrors is where the gateway's own errors go as well: into a file only, because streams have
	// them already.
	ownErrors telemetry.Slot
	access    telemetry.Current
	stdout    *stream
	stderr    *stream

	mu      sync.Mutex // guards what is below
	current *openLogs
	closing []*openLogs // were replaced, and are being closed
	dropped uint64      // lines of logs that were replaced and closed
}

// openLogs are the outputs that a configuration names.
type openLogs struct {
	conf      *config.Config
	own       *telemetry.AccessLog
	ownErrors *telemetry.AccessLog // one of access, or nil
	access    telemetry.Logs
}

// stream is an output that several logs write to.
type stream struct {
	mu sync.Mutex // held while writing
	to io.Writer
}

func (s *stream) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(lines)
}

// newLogs makes the gateway's own log. The others need use.
func newLogs(conf *config.Config, o Options) (*logs, error) {
	if o.LogDir != "" {
		dir, err := filepath.Abs(o.LogDir) // names of files are relative to the configuration
		if err != nil {
			return nil, err
		}
		o.LogDir = dir
	}
	l := &logs{options: o, stdout: &stream{to: o.Stdout}, stderr: &stream{to: o.Stderr}}
	l.log = slog.New(slog.NewMultiHandler(
		slog.NewJSONHandler(&l.own, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: asAccessLog}),
		l.errorsOnly(),
	))
	next := &openLogs{conf: conf}
	var err error
	if next.own, err = l.openOwn(conf); err != nil {
		return nil, err
	}
	l.use(next)
	return l, nil
}

func (l *logs) errorsOnly() slog.Handler {
	return slog.NewJSONHandler(&l.ownErrors, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: asAccessLog})
}

// level is the least level of the gateway's own lines. The configuration has been checked.
func level(conf *config.Config) (l slog.Level) {
	if err := l.UnmarshalText([]byte(conf.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
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

// open opens everything that a configuration names, and uses nothing of it yet: use has to follow, or
// close.
func (l *logs) open(conf *config.Config) (*openLogs, error) {
	next := &openLogs{conf: conf}
	var err error
	if next.own, err = l.openOwn(conf); err == nil {
		next.access.All, err = l.openAccess(conf, l.accessOutput(conf))
	}
	if err == nil {
		output := l.errorsOutput(conf)
		next.access.Errors, err = l.openAccess(conf, output)
		if isFile(output) {
			next.ownErrors = next.access.Errors
		}
	}
	if err != nil {
		return nil, errors.Join(err, next.close())
	}
	return next, nil
}

// are tells whether what is open is what a configuration wants, whatever the level.
func (l *logs) are(c *config.Config) bool {
	before := l.inUse().conf
	now, next := before.Log, c.Log
	now.Level, next.Level = "", ""
	return reflect.DeepEqual(now, next) &&
		before.Source.Resolve(now.Access.Output) == c.Source.Resolve(next.Access.Output) &&
		before.Source.Resolve(now.Access.Errors) == c.Source.Resolve(next.Access.Errors)
}

// use has everything that is logged from now on go into other outputs, and returns those before, for
// gone.
func (l *logs) use(next *openLogs) (before *openLogs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level.Set(level(next.conf))
	l.own.Swap(next.own)
	l.ownErrors.Swap(next.ownErrors)
	l.access.Swap(next.access)
	before = l.current
	l.current = next
	if before != nil {
		l.closing = append(l.closing, before)
	}
	return before
}

// gone closes outputs that others took the place of, when they have what was logged until then. It
// may take some time.
func (l *logs) gone(before *openLogs) error {
	err := before.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += before.dropped()
	l.closing = slices.DeleteFunc(l.closing, func(o *openLogs) bool { return o == before })
	return err
}

func (l *logs) inUse() *openLogs {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// Reopen opens all outputs again, after files were moved away.
func (l *logs) Reopen() error { return l.inUse().each((*telemetry.AccessLog).Reopen) }

// Flush writes what waits, as far as the outputs take it.
func (l *logs) Flush() error { return l.inUse().each((*telemetry.AccessLog).Flush) }

// Close writes what waits and closes the outputs.
func (l *logs) Close() error { return l.inUse().close() }

// Dropped returns how many lines never reached their output since the start.
func (l *logs) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped + l.current.dropped()
	for _, old := range l.closing {
		n += old.dropped()
	}
	return n
}

// close closes the access log before the own, which has to hear of it when that fails.
func (o *openLogs) close() error { return o.each((*telemetry.AccessLog).Close) }

func (o *openLogs) each(do func(*telemetry.AccessLog) error) error {
	var errs []error
	for _, log := range []*telemetry.AccessLog{o.access.All, o.access.Errors, o.own} {
		if log != nil {
			errs = append(errs, do(log))
		}
	}
	return errors.Join(errs...)
}

func (o *openLogs) dropped() uint64 {
	n := o.access.Dropped()
	if o.own != nil {
		n += o.own.Dropped()
	}
	return n
}

// openOwn opens the output of the gateway's own lines.
func (l *logs) openOwn(conf *config.Config) (*telemetry.AccessLog, error) {
	errorsOnly := slog.New(l.errorsOnly()) // it can't tell of itself
	to, format := l.output(conf, l.inDir("stderr", dirLog), conf.Log.Format)
	return telemetry.NewAccessLog(to, telemetry.Options{
		Name: "log", Format: format,
		OnError:   func(err error) { errorsOnly.Error("writing the gateway's own log failed", "error", err) },
		OnRecover: func(n uint64) { l.log.Warn("this log can be written again", "dropped", n) },
	})
}

// openAccess opens an output for lines of requests; nil for none.
func (l *logs) openAccess(conf *config.Config, output string) (*telemetry.AccessLog, error) {
	c := conf.Log.Access
	to, format := l.output(conf, output, c.Format)
	if to == nil {
		return nil, nil
	}
	return telemetry.NewAccessLog(to, telemetry.Options{
		Query: query(c.Query), Flush: time.Duration(c.Flush), Format: format,
		OnError:   func(err error) { l.log.Error("writing the access log failed", "output", output, "error", err) },
		OnRecover: func(n uint64) { l.log.Info("the access log can be written again", "output", output, "dropped", n) },
	})
}

// output returns what opens an output, and how lines look there. It returns nil for no output.
func (l *logs) output(conf *config.Config, output, format string) (telemetry.Opener, func(dst, line []byte) []byte) {
	var to telemetry.Opener
	var stream io.Writer
	switch output {
	case "off":
		return nil, nil
	case "stdout":
		stream = l.options.Stdout
		to = telemetry.ToStream(l.stdout)
	case "stderr":
		stream = l.options.Stderr
		to = telemetry.ToStream(l.stderr)
	default:
		to = l.file(conf.Source.Resolve(output), l.rotation(conf))
	}
	if format != "console" {
		return to, nil
	}
	return to, console.StyleFor(stream, l.options.Env).Append
}

// file opens a log file, and makes the directory for logs when it is there.
func (l *logs) file(name string, o logfile.Options) telemetry.Opener {
	open := telemetry.ToFile(name, o)
	if filepath.Dir(name) != l.options.LogDir {
		return open
	}
	return func() (io.WriteCloser, error) {
		if err := os.MkdirAll(l.options.LogDir, 0o700); err != nil {
			return nil, err
		}
		return open()
	}
}

// rotation is what becomes of files that grow.
func (l *logs) rotation(conf *config.Config) logfile.Options {
	r := conf.Log.Rotate
	return logfile.Options{
		Size: int64(r.Size), Age: time.Duration(r.Age), Keep: r.Keep, KeepFor: time.Duration(r.KeepFor), Compress: r.Compress,
		OnError: func(err error) { l.log.Warn("not all is well with a log file", "error", err) },
	}
}

// inDir returns a file in the directory for logs in the place of a stream, where there is one.
func (l *logs) inDir(output, file string) string {
	if l.options.LogDir == "" || output != "stdout" && output != "stderr" {
		return output
	}
	return filepath.Join(l.options.LogDir, file)
}

// accessOutput returns the output for lines of requests.
func (l *logs) accessOutput(conf *config.Config) string {
	return l.inDir(conf.Log.Access.Output, dirLog)
}

// errorsOutput returns the output for errors.
func (l *logs) errorsOutput(conf *config.Config) string {
	return errorsOutput(conf, l.accessOutput(conf), l.inDir(conf.Log.Access.Errors, dirErrorsLog))
}

// isFile tells a file from the words that stand for other outputs.
func isFile(output string) bool {
	return output != "off" && output != "stdout" && output != "stderr"
}

// LogFiles returns the files that a configuration has lines go to, those of all lines and those of errors
// alone, where they are not written into a directory for logs.
func LogFiles(conf *config.Config) (all, failed []string) {
	c := conf.Log.Access
	file := func(output string) []string {
		name := conf.Source.Resolve(output)
		if !isFile(output) || strings.HasPrefix(name, "/dev/") || isDevice(name) { // who reads a pipe takes its lines from others
			return nil
		}
		return []string{name}
	}
	return file(c.Output), file(errorsOutput(conf, c.Output, c.Errors))
}

// LogFilesIn returns those of a directory for logs.
func LogFilesIn(dir string) (all, failed []string) {
	return []string{filepath.Join(dir, dirLog)}, []string{filepath.Join(dir, dirErrorsLog)}
}

// errorsOutput returns the output for errors, with auto replaced by what it
// means beside the output of all lines.
func errorsOutput(conf *config.Config, output, errors string) string {
	switch {
	case errors != "auto":
		return errors
	case !isFile(output), isDevice(conf.Source.Resolve(output)):
		return "off"
	}
	return besideFor(output)
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
