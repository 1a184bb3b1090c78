package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/control"
	"yett/internal/telemetry"
)

// ErrNobody is the error of a socket behind which no process is.
var ErrNobody = errors.New("no gateway answers there")

// Client asks an instance of another process. It implements control.Cluster; one process refuses
// what only a cluster can do. Its methods may be called by several goroutines.
type Client struct {
	path string
	http *http.Client
}

var _ control.Cluster = (*Client)(nil)

// Dial returns the Instance behind the socket at path. It asks once whether somebody is there;
// the error is ErrNobody when nobody is.
func Dial(path string) (*Client, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	c := &Client{path: path}
	c.http = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
	}}
	conn, err := c.dial(context.Background())
	if err != nil {
		return nil, err
	}
	return c, conn.Close()
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, "unix", c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %s", ErrNobody, c.path)
	case errors.Is(err, syscall.EAGAIN): // so many wait for it already
		return nil, fmt.Errorf("the process behind %s accepts nothing: it hangs or is stopped", c.path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s is another user's: %w; run this as the user that the gateway runs as", c.path, err)
	case err != nil:
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	return &patient{Conn: conn}, nil
}

// patient is a connection on which something has to come from time to time.
type patient struct{ net.Conn }

// Read fails when nothing comes for too long.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// Status implements control.Instance.
func (c *Client) Status(ctx context.Context) (control.Status, error) {
	return call[control.Status](ctx, c, http.MethodGet, pathStatus, nil)
}

// Stats implements control.Instance.
func (c *Client) Stats(ctx context.Context) (telemetry.Stats, error) {
	return call[telemetry.Stats](ctx, c, http.MethodGet, pathStats, nil)
}

// Plan implements control.Instance.
func (c *Client) Plan(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	return call[control.Outcome](ctx, c, http.MethodPost, pathPlan, p)
}

// Reload implements control.Instance.
func (c *Client) Reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	return call[control.Outcome](ctx, c, http.MethodPost, pathReload, p)
}

// Revisions implements control.Instance.
func (c *Client) Revisions(ctx context.Context) ([]control.Revision, error) {
	return call[[]control.Revision](ctx, c, http.MethodGet, pathRevisions, nil)
}

// Reopen implements control.Instance.
func (c *Client) Reopen(ctx context.Context) error { return c.order(ctx, pathReopen, nil) }

// Stop implements control.Instance.
func (c *Client) Stop(ctx context.Context) error { return c.order(ctx, pathStop, nil) }

// Upgrade implements control.Instance.
func (c *Client) Upgrade(ctx context.Context) error { return c.order(ctx, pathUpgrade, nil) }

// Restart implements control.Cluster.
func (c *Client) Restart(ctx context.Context) error { return c.order(ctx, pathRestart, nil) }

// Scale implements control.Cluster.
func (c *Client) Scale(ctx context.Context, workers int) error {
	return c.order(ctx, pathScale, scale{Workers: workers})
}

func (c *Client) order(ctx context.Context, path string, body any) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, path, body)
	return err
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (result T, err error) {
	text := []byte{}
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return result, fmt.Errorf("ask the gateway: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://yett"+path, bytes.NewReader(text))
	if err != nil {
		return result, fmt.Errorf("ask the gateway: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return result, c.failed(err)
	}
	defer resp.Body.Close()
	whole, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return result, c.failed(err)
	}
	return open[T](c, whole)
}

// open reads an answer.
func open[T any](c *Client, text []byte) (result T, err error) {
	var a answer[T]
	if err := json.Unmarshal(text, &a); err != nil {
		return result, fmt.Errorf("the answer of %s is not one of a gateway: %w", c.path, err)
	}
	if a.Error != nil {
		return result, a.Error
	}
	return a.Result, nil
}

func (c *Client) failed(err error) error {
	switch {
	case errors.Is(err, ErrNobody):
		return fmt.Errorf("%w: %s", ErrNobody, c.path)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the process behind %s has said nothing for %v: it hangs or is stopped", c.path, silence)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the process behind %s has ended before it answered", c.path)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the process behind %s has not answered in time: %w", c.path, context.DeadlineExceeded)
	}
	return fmt.Errorf("ask the gateway: %w", err)
}

// Sockets returns copies of the listening sockets of the other process, which the caller closes.
func (c *Client) Sockets(ctx context.Context) (p Passed, err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return p, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	u := conn.(*patient).Conn.(*net.UnixConn)
	if err := u.SetDeadline(time.Now().Add(silence)); err != nil {
		return p, err
	}
	if _, err := io.WriteString(u, "POST "+pathSockets+" HTTP/1.1\r\nHost: yett\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return p, c.failed(err)
	}
	text, files, err := receive(u)
	if err != nil {
		return p, errors.Join(c.failed(err), Passed{Files: files}.Close())
	}
	p.Files = files
	_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	got, err := open[parcel](c, body)
	if err == nil && got.Files != len(files) {
		err = fmt.Errorf("of %d sockets, %d came from %s: this process may have too few open files left (ulimit -n)", got.Files, len(files), c.path)
	}
	if err != nil {
		return Passed{}, errors.Join(err, p.Close())
	}
	p.Env = got.Env
	return p, nil
}

// receive reads until the end. Files come in the order they were sent in.
func receive(c *net.UnixConn) (text []byte, files []*os.File, err error) {
	data, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*atOnce))
	for len(text) < mostBody {
		n, m, _, _, err := c.ReadMsgUnix(data, control)
		text = append(text, data[:max(n, 0)]...)
		more, parseErr := filesIn(control[:max(m, 0)])
		files = append(files, more...)
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return text, files, parseErr
		}
		if err = errors.Join(err, parseErr); err != nil {
			return text, files, err
		}
	}
	return text, files, errors.New("the answer has no end")
}

func filesIn(control []byte) (files []*os.File, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // something else, such as credentials
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "socket"))
		}
	}
	return files, nil
}
