package app

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// liveHandler passes lines on to a handler that can be replaced while loggers use it.
type liveHandler struct {
	current *atomic.Pointer[slog.Handler]
	// derive is what With and WithGroup did to the logger, in that order.
	derive []func(slog.Handler) slog.Handler
}

func newLiveHandler(h slog.Handler) *liveHandler {
	l := &liveHandler{current: new(atomic.Pointer[slog.Handler])}
	l.set(h)
	return l
}

// set replaces the handler, for all loggers that were made of this one too.
func (l *liveHandler) set(h slog.Handler) { l.current.Store(&h) }

// Enabled implements slog.Handler.
func (l *liveHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return (*l.current.Load()).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *liveHandler) Handle(ctx context.Context, r slog.Record) error {
	h := *l.current.Load()
	for _, derive := range l.derive {
		h = derive(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *liveHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (l *liveHandler) WithGroup(name string) slog.Handler {
	return l.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *liveHandler) with(derive func(slog.Handler) slog.Handler) *liveHandler {
	return &liveHandler{current: l.current, derive: append(slices.Clip(l.derive), derive)}
}
