package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"yett/internal/handover"
	localstore "yett/internal/store/local"
	"yett/internal/store/memory"
)

// storeServerCommand is the process that keeps what the workers of a gateway share. A supervisor
// starts it, so it is not shown.
func (p Process) storeServerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "store-server",
		Short:  "Keep what workers share",
		Hidden: true,
		Long: `Store-server keeps what the workers of one gateway share, when the configuration has no
store: limits, revocations, breakers. yett start starts it. It outlives workers and
supervisors, and ends on SIGTERM, or when another one has taken its place.`,
		Example: `  yett store-server --socket /run/yett/main/store.sock
  yett store-server --socket /run/yett/main/store.sock --successor`,
	}
	var o storeServer
	cmd.Flags().StringVar(&o.path, "socket", "", "where it is asked")
	cmd.Flags().IntVar(&o.keys, "keys", 0, "of how many callers it keeps what they have spent (default a million)")
	cmd.Flags().BoolVar(&o.successor, "successor", false, "take the place of the one that serves there, with all it knows")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.path == "" {
			return misuse(cmd, errors.New("--socket says where it is asked: give it a path"))
		}
		return o.run(cmd.Context(), p.Stderr)
	}
	return cmd
}

// storeServer is what its flags say.
type storeServer struct {
	path      string
	keys      int
	successor bool
}

// run serves until a signal, or until another process has taken its place.
func (o storeServer) run(ctx context.Context, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	outlive()
	waiters, err := handover.Waiters()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	m := memory.New(memory.Options{Keys: o.keys})
	defer m.Close()
	l, err := o.listen(ctx, m)
	if err != nil {
		waiters.Failed(err.Error())
		return err
	}
	s := localstore.Serve(l, m, log)
	if err := waiters.Ready(); err != nil {
		return errors.Join(fmt.Errorf("tell that the store is served: %w", err), s.Close())
	}
	select {
	case <-ctx.Done():
	case <-s.Succeeded():
	}
	return s.Close()
}

// listen takes the socket, or that of the process before this one with all it knows.
func (o storeServer) listen(ctx context.Context, m *memory.Store) (*net.UnixListener, error) {
	if o.successor {
		return localstore.Succeed(ctx, o.path, m)
	}
	return localstore.Listen(o.path)
}

// outlive lets this process outlive its terminal, and whoever reads what it says.
func outlive() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	if _, err := syscall.Setsid(); err != nil && !errors.Is(err, syscall.EPERM) { // it leads a session already
		fmt.Fprintln(os.Stderr, "yett: stay in the terminal's session:", err)
	}
}
