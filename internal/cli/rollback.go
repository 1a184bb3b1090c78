package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/control"
	"yett/internal/control/history"
)

func (p Process) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [REV] [NAME]",
		Short: "Have a gateway run an earlier configuration",
		Long: `Rollback has a running gateway take a configuration that it has run before: REV of yett
revisions, else (or as -) the one before that which runs. It is taken as any other is: in
all processes or in none, with nothing dropped.

The text is also written to the gateway's configuration file, as the next start would
bring the other one back. What stood there goes to the history, where it isn't in it
already. Values of ${VARIABLES} are not kept: those of now count. With --running-only, and
where the file can't be written (such as a ConfigMap), only what runs is changed, which is
said.

A single word that is the name of a gateway, and no revision of the one here, is NAME.

A revision that is refused, such as one that needs a certificate which is gone, changes
nothing, and the exit code is 1.`,
		Example: `  yett rollback
  yett rollback 3fa9c1d2
  yett rollback - gateway-2 --running-only`,
		Args: cobra.MaximumNArgs(2),
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	runningOnly := cmd.Flags().Bool("running-only", false, "leave the configuration file as it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rev, name := p.revisionAndName(args)
		n, err := p.answering(cmd.Context(), name)
		if err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
		b := rollback{n: n, say: cmd.ErrOrStderr(), runningOnly: *runningOnly}
		o, err := b.run(cmd.Context(), rev)
		if err != nil {
			return err
		}
		if err := p.showOutcome(o, *asJSON); err != nil {
			return err
		}
		b.write()
		return nil
	}
	return cmd
}

// revisionAndName tells which of the words is which. Names are known; a word that is none is a revision,
// and - is the one before. Of a word that is both, the revision is meant.
func (p Process) revisionAndName(args []string) (rev, name string) {
	switch {
	case len(args) == 0:
		return "-", ""
	case len(args) == 2 && p.knows(args[0]) && !p.knows(args[1]):
		return args[1], args[0]
	case len(args) == 2:
		return args[0], args[1]
	case !p.knows(args[0]):
		return args[0], ""
	}
	if here, err := p.neighbour(""); err == nil {
		if _, _, err := here.revisions().Text(args[0]); err == nil {
			return args[0], ""
		}
	}
	return "-", args[0]
}

// rollback is one going back.
type rollback struct {
	n           neighbour
	say         io.Writer // where to tell what is not in the Outcome
	runningOnly bool

	text   []byte // what runs again
	unkept error  // why it isn't known here
	file   string // the instance's
}

// run has the instance take the revision.
func (b *rollback) run(ctx context.Context, rev string) (o control.Outcome, err error) {
	if rev == "-" {
		if rev, err = b.previous(ctx); err != nil {
			return o, fmt.Errorf("nothing was changed: %w", err)
		}
	}
	if _, b.text, b.unkept = b.n.revision(rev); errors.Is(b.unkept, history.ErrUnknown) {
		// The gateway may have it in its memory all the same. Where it has not, it isn't asked: it would
		// report a slip of the pen as a configuration that it has refused.
		if err := b.remembered(ctx, rev); err != nil {
			return o, fmt.Errorf("nothing was changed: %w", err)
		}
		b.unkept = errors.New("its text is not among the files of " + b.n.dir.Revisions())
	} else if b.unkept != nil {
		return o, fmt.Errorf("nothing was changed: %w", b.unkept)
	}
	if b.file, err = b.n.file(ctx); err != nil {
		return o, fmt.Errorf("nothing was changed: %w", err)
	}
	return b.n.ask.Reload(ctx, control.Proposal{Revision: rev, Cause: "rollback"})
}

// remembered is an error where the gateway has no revision that begins so.
func (b *rollback) remembered(ctx context.Context, rev string) error {
	list, _, err := b.n.list(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if strings.HasPrefix(r.ID, rev) {
			return nil
		}
	}
	return b.unkept
}

// previous is what ran before that which runs now. The same text with other values of its variables is
// nothing to go back to: values are not kept.
func (b *rollback) previous(ctx context.Context) (string, error) {
	list, _, err := b.n.list(ctx)
	if err != nil {
		return "", err
	}
	kept := b.n.revisions()
	var now []byte
	for _, r := range list {
		if r.Current {
			_, now, _ = kept.Text(r.ID)
		}
	}
	same := 0
	for _, r := range list {
		if r.Current || r.Cause == history.Replaced {
			continue
		}
		if _, text, err := kept.Text(r.ID); err != nil || now == nil || !bytes.Equal(text, now) {
			return r.ID, nil
		}
		same++
	}
	if same > 0 {
		return "", errors.New("the earlier revisions have the same text, and only values of variables were others: correct them where they are set")
	}
	return "", fmt.Errorf("there is no earlier revision to go back to; see which ones are kept: yett revisions %s", b.n.dir.Name())
}

// write brings the text into the configuration file.
func (b *rollback) write() {
	if b.file == "" {
		fmt.Fprintln(b.say, "the gateway has no configuration file, so its next start brings something else")
		return
	}
	old, err := os.ReadFile(b.file)
	if err == nil && b.unkept == nil && bytes.Equal(old, b.text) {
		return
	}
	replaced := ""
	switch {
	case b.runningOnly:
		err = errors.New("--running-only")
	case err == nil && b.unkept != nil:
		err = b.unkept
	case err == nil:
		replaced, err = b.replace(old)
	}
	if err != nil {
		fmt.Fprintf(b.say, "ONLY what runs has changed: %s is as it was (%v). The next start or reload brings its text back; correct it there.\n", printable(b.file), err)
		return
	}
	fmt.Fprintf(b.say, "%s has that text again; what stood there is revision %s\n", printable(b.file), replaced)
}

// replace writes the file once what stands in it is kept, and returns under which ID that is.
func (b *rollback) replace(old []byte) (id string, err error) {
	if id, err = b.keep(old); err != nil {
		return "", fmt.Errorf("what stands in it could not be kept: %w", err)
	}
	return id, putBack(b.file, b.text)
}

// keep has the history hold what is about to be written over.
func (b *rollback) keep(old []byte) (id string, err error) {
	if e, ok := b.n.revisions().Holds(old); ok {
		return e.ID, nil
	}
	h, err := history.Open(b.n.dir.Revisions(), historyKeeps)
	if err != nil {
		return "", err
	}
	id = history.ID(old)
	return id, h.Add(history.Entry{ID: id, Since: time.Now(), Cause: history.Replaced, File: b.file}, old)
}

// historyKeeps is how many revisions the command line leaves in a history. The instance has its own
// number, reload.keep, and goes by it the next time it adds one.
const historyKeeps = 1000

// putBack has a file hold another text: whole or not at all, with the same owner and mode. A link
// stays one.
func putBack(name string, text []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no ordinary file", target)
	}
	if w, err := os.OpenFile(target, os.O_WRONLY, 0); err != nil {
		return err // who may not write it must not replace it either
	} else if err := w.Close(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = likeFile(f, info)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), target)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// likeFile gives a new file the owner and mode of another.
func likeFile(f *os.File, info os.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return fmt.Errorf("keep its owner: %w", err)
		}
	}
	return f.Chmod(info.Mode())
}
