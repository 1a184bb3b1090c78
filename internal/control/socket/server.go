package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/control"
	"yett/internal/telemetry"
)

// Server serves an Instance.
type Server struct {
	http *http.Server
	path string
	file os.FileInfo // the socket's, nil where it isn't known
	done sync.WaitGroup
}

// Serve serves i until Close. An i that is a Cluster has its verbs too, and one that is a Passer
// gives its sockets away.
func Serve(l net.Listener, i control.Instance) *Server {
	s := &Server{path: l.Addr().String()}
	if own, ok := l.(*listener); ok {
		s.path = own.path
	}
	s.file, _ = os.Lstat(s.path)
	s.http = &http.Server{
		Handler: handler(i), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, checkPeer(c))
		},
	}
	s.done.Go(func() { _ = s.http.Serve(l) }) // until Close
	return s
}

// Replaced tells whether another process has its socket where this one was. It is not for use at
// the same time as Mend or Close.
func (s *Server) Replaced() bool {
	now, err := os.Lstat(s.path)
	return err == nil && (s.file == nil || !os.SameFile(now, s.file))
}

// Mend makes the socket's file again when somebody has removed it, and tells whether that was so:
// nobody could find this process any more. One that another process has put there stays. It is
// not for use at the same time as Close.
func (s *Server) Mend() (mended bool, err error) {
	if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	l, err := Listen(s.path)
	if err != nil {
		return false, err
	}
	s.file, _ = os.Lstat(s.path)
	s.done.Go(func() { _ = s.http.Serve(l) })
	return true, nil
}

// Close ends it, and removes the file when it is still its own. Calls that are being answered
// get their answer, for up to a second.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.done.Wait()
	if now, statErr := os.Lstat(s.path); statErr == nil && s.file != nil && os.SameFile(now, s.file) {
		if removeErr := os.Remove(s.path); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// peerKey is where a connection's context has the error of checkPeer.
type peerKey struct{}

// checkPeer refuses all users but this one and root.
func checkPeer(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return errors.New("this is no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	return checkUser(cred.Uid, uint32(os.Geteuid()))
}

func checkUser(peer, own uint32) error {
	if peer == own || peer == 0 {
		return nil
	}
	return fmt.Errorf("user %d may not control this gateway: it runs as user %d", peer, own)
}

func handler(i control.Instance) http.Handler {
	mux := http.NewServeMux()
	get(mux, pathStatus, func(r *http.Request) (control.Status, error) { return i.Status(r.Context()) })
	get(mux, pathStats, func(r *http.Request) (telemetry.Stats, error) { return i.Stats(r.Context()) })
	get(mux, pathRevisions, func(r *http.Request) ([]control.Revision, error) { return i.Revisions(r.Context()) })
	post(mux, pathPlan, i.Plan)
	post(mux, pathReload, i.Reload)
	order(mux, pathReopen, i.Reopen)
	order(mux, pathStop, i.Stop)
	order(mux, pathUpgrade, i.Upgrade)
	many, ok := i.(control.Cluster)
	if !ok {
		many = single{}
	}
	order(mux, pathRestart, many.Restart)
	post(mux, pathScale, func(ctx context.Context, want scale) (struct{}, error) {
		return struct{}{}, many.Scale(ctx, want.Workers)
	})
	mux.HandleFunc("POST "+pathSockets, func(w http.ResponseWriter, _ *http.Request) { passSockets(w, i) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Errorf("there is no call %s %s; this gateway may be of another version", r.Method, r.URL.Path))
	})
	return guarded(mux)
}

// guarded lets nobody pass whose user may not.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err, ok := r.Context().Value(peerKey{}).(error); ok && err != nil {
			refuse(w, http.StatusForbidden, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, mostBody)
		next.ServeHTTP(w, r)
	})
}

// scale is the body of that call.
type scale struct {
	Workers int `json:"workers"`
}

// single answers the verbs of a cluster where there is none.
type single struct{ control.Cluster }

var errSingle = errors.New("this gateway is one process (yett run), and that is a verb for clusters; yett upgrade puts a new process in its place, and yett start starts a cluster")

func (single) Restart(context.Context) error    { return errSingle }
func (single) Scale(context.Context, int) error { return errSingle }

func get[T any](mux *http.ServeMux, path string, ask func(*http.Request) (T, error)) {
	mux.HandleFunc("GET "+path, respond(func(r *http.Request) (any, error) { return ask(r) }))
}

func order(mux *http.ServeMux, path string, do func(context.Context) error) {
	mux.HandleFunc("POST "+path, respond(func(r *http.Request) (any, error) { return struct{}{}, do(r.Context()) }))
}

func post[In, Out any](mux *http.ServeMux, path string, do func(context.Context, In) (Out, error)) {
	mux.HandleFunc("POST "+path, respond(func(r *http.Request) (any, error) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the call: %w", err)
		}
		return do(r.Context(), in)
	}))
}

// respond answers with what do returns, and with spaces until then.
func respond(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		a := answer[any]{}
		var late bool
		a.Result, late = alive(w, func() (result any) {
			result, err := do(r)
			if err != nil {
				a.Error = tell(err)
				return nil
			}
			return result
		})
		if a.Error != nil && !late {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		_ = json.NewEncoder(w).Encode(a) // who asked may have left
	}
}

// alive writes a space for each breath that do takes. late tells that it has written any.
func alive(w http.ResponseWriter, do func() any) (result any, late bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		result = do()
	}()
	tick := time.NewTicker(breath)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return result, late
		case <-tick.C:
			late = true
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer[any]{Error: tell(err)})
}

// atOnce is how many files go in one message; the kernel takes 253.
const atOnce = 64

// passSockets answers with files. The connection is this call's alone from then on.
func passSockets(w http.ResponseWriter, i control.Instance) {
	passer, ok := i.(Passer)
	if !ok {
		refuse(w, http.StatusNotFound, errors.New("this process gives no sockets away"))
		return
	}
	sockets, err := passer.Sockets()
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	defer sockets.Close()
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	defer c.Close()
	if u, ok := c.(*net.UnixConn); ok {
		_ = u.SetDeadline(time.Now().Add(silence))
		_ = sendFiles(u, sockets) // who asked sees that it is not whole
	}
}

func sendFiles(c *net.UnixConn, p Passed) error {
	text, err := json.Marshal(answer[parcel]{Result: parcel{Env: p.Env, Files: len(p.Files)}})
	if err != nil {
		return err
	}
	var head strings.Builder
	head.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
	head.Write(text)
	data := []byte(head.String())
	for {
		n := min(atOnce, len(p.Files))
		fds, err := numbers(p.Files[:n])
		if err != nil {
			return err
		}
		if _, _, err := c.WriteMsgUnix(data, unix.UnixRights(fds...), nil); err != nil {
			return err
		}
		if p.Files = p.Files[n:]; len(p.Files) == 0 {
			return nil
		}
		data = []byte("\n") // each message needs a byte
	}
}

// numbers returns the descriptors of files. Fd is no way to them: it would turn the listening
// sockets into blocking ones, for all processes that share them.
func numbers(files []*os.File) ([]int, error) {
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// parcel is what is written beside the files.
type parcel struct {
	Env   []string `json:"env"`
	Files int      `json:"files"`
}
