package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Waiting is who waits for this process: nobody, a process that started it ($YETT_READY, a pipe),
// systemd ($NOTIFY_SOCKET), Node's process managers ($NODE_CHANNEL_FD). The methods may be called
// from several goroutines.
type Waiting struct {
	systemd systemd

	mu      sync.Mutex
	starter *os.File // the pipe of whoever started this process
	node    *os.File
	// manager tells that a process manager of Node follows this process.
	manager bool
	silent  bool // another process speaks to systemd now
	beat    chan struct{}
	beats   sync.WaitGroup
}

// message is the line on the pipe of whoever started this process.
type message struct {
	Ready  bool   `json:"ready"`
	Failed string `json:"failed,omitempty"`
}

// Waiters finds them in the environment, and clears the variables.
func Waiters() (*Waiting, error) {
	w := &Waiting{systemd: findSystemd()}
	var err error
	if w.starter, err = inheritedFile(readyVariable); err != nil {
		return nil, err
	}
	mode, _ := take("NODE_CHANNEL_SERIALIZATION_MODE")
	if w.node, err = inheritedFile("NODE_CHANNEL_FD"); err != nil {
		return nil, err
	}
	w.manager = w.node != nil
	if mode == "advanced" && w.node != nil { // it wants V8's own format
		_ = w.node.Close()
		w.node = nil
	}
	return w, nil
}

// inheritedFile returns the open file whose number is in a variable, or nil.
func inheritedFile(variable string) (*os.File, error) {
	text, ok := take(variable)
	if !ok {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err == nil && fd < 3 {
		err = errors.New("it has to be 3 or more")
	}
	if err == nil {
		var stat syscall.Stat_t
		err = syscall.Fstat(fd, &stat)
	}
	if err != nil {
		return nil, fmt.Errorf("%s=%q is no open file: %w; unset it, whoever starts yett sets it where it is meant", variable, text, err)
	}
	syscall.CloseOnExec(fd)
	_ = syscall.SetNonblock(fd, true) // so that waiting has a deadline; not possible for plain files, which need none
	return os.NewFile(uintptr(fd), variable), nil
}

// Ready tells that this process serves. From here on systemd's watchdog hears of it, until
// Close. An error says that somebody could not be told, who will take this process for one that
// is not ready.
func (w *Waiting) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startBeat()
	succeeds := w.starter != nil
	errs := []error{w.answer(message{Ready: true})}
	if !succeeds { // else systemd is told by the process before this one who comes after it
		errs = append(errs, w.systemd.tell("READY=1", "MAINPID="+strconv.Itoa(os.Getpid())))
	}
	if w.node != nil {
		_, err := w.node.WriteString("\"ready\"\n") // process.send("ready")
		errs = append(errs, err, w.node.Close())
		w.node = nil
	}
	return errors.Join(errs...)
}

// answer writes the line for whoever started this process. There is only one.
func (w *Waiting) answer(m message) error {
	if w.starter == nil {
		return nil
	}
	line, err := json.Marshal(m)
	if err == nil {
		_, err = w.starter.Write(append(line, '\n'))
	}
	err = errors.Join(err, w.starter.Close())
	w.starter = nil
	if err != nil {
		return fmt.Errorf("telling the process that started this one: %w", err)
	}
	return nil
}

// Failed tells why this process can't serve.
func (w *Waiting) Failed(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	started := w.starter != nil
	_ = w.answer(message{Failed: why}) // whoever is gone needs no answer
	if !started {
		_ = w.systemd.tell("STATUS="+oneLine(why), "ERRNO=1")
	}
}

// Stopping tells that this process drains.
func (w *Waiting) Stopping() { w.tell("STOPPING=1", "STATUS=draining") }

// Reloading tells that a new configuration is being taken, and when that is over.
func (w *Waiting) Reloading() (done func()) {
	w.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic(), 10))
	return func() { w.tell("READY=1") }
}

// Status shows a line in systemctl status.
func (w *Waiting) Status(line string) { w.tell("STATUS=" + oneLine(line)) }

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// tell tells systemd, unless another process does by now. It can't be told what went wrong.
func (w *Waiting) tell(assignments ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.silent {
		_ = w.systemd.tell(assignments...)
	}
}

// Succeeded tells that the process with that number has taken the place of this one, which says
// nothing from here on: what becomes of it is not what becomes of the gateway.
func (w *Waiting) Succeeded(pid int) {
	assignments := []string{"MAINPID=" + strconv.Itoa(pid)}
	if w.systemd.watchdog > 0 {
		assignments = append(assignments, "WATCHDOG=1") // so that the new one has all of its time
	}
	w.tell(assignments...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
}

// Managed tells that a process manager of Node has started this process, and follows it and no
// other.
func (w *Waiting) Managed() bool { return w.manager }

// Notifies tells that systemd hears of this process, so that another can take its place.
func (w *Waiting) Notifies() bool { return w.systemd.address != "" }

// startBeat tells the watchdog every third of its time that this process lives.
func (w *Waiting) startBeat() {
	if w.systemd.watchdog <= 0 || w.beat != nil {
		return
	}
	stop := make(chan struct{})
	w.beat = stop
	w.beats.Go(func() {
		ticker := time.NewTicker(w.systemd.watchdog / 3)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				w.tell("WATCHDOG=1")
			}
		}
	})
}

// Close ends what Ready has begun.
func (w *Waiting) Close() {
	w.mu.Lock()
	if w.beat != nil {
		close(w.beat)
		w.beat = nil
	}
	w.mu.Unlock()
	w.beats.Wait()
}
