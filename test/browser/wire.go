//go:build linux

package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// object is the parameters of a command.
type object map[string]any

// wire is the DevTools protocol over a pair of pipes: JSON, each message with a NUL
// behind it. https://chromedevtools.github.io/devtools-protocol/
type wire struct {
	out  *os.File
	in   *os.File
	gone chan struct{} // closed when the browser says no more

	mu      sync.Mutex
	last    int64
	waiting map[int64]chan message
	tell    map[string]func(method string, params json.RawMessage) // by session
}

// message is an answer (with ID) or an event (with Method).
type message struct {
	ID        int64           `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message, Data string }
}

func newWire(out, in *os.File) *wire {
	w := &wire{out: out, in: in, gone: make(chan struct{}), waiting: make(map[int64]chan message), tell: make(map[string]func(string, json.RawMessage))}
	go w.read()
	return w
}

// read hands on what the browser says, until it ends.
func (w *wire) read() {
	defer close(w.gone)
	r := bufio.NewReader(w.in)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		w.mu.Lock()
		answer, told := w.waiting[m.ID], w.tell[m.SessionID]
		delete(w.waiting, m.ID)
		w.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case m.Method != "" && told != nil:
			told(m.Method, m.Params)
		}
	}
}

// subscribe names who is told of the events of a session, one after the other.
func (w *wire) subscribe(session string, f func(method string, params json.RawMessage)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell[session] = f
}

// call sends a command and fills into with its result; nil for no interest.
func (w *wire) call(session, method string, params object, into any) error {
	answer := make(chan message, 1)
	if err := w.send(session, method, params, answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	timeout := time.NewTimer(Patience + 10*time.Second)
	defer timeout.Stop()
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s %s", method, m.Error.Message, m.Error.Data)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(m.Result, into)
	case <-w.gone:
		return fmt.Errorf("%s: the browser has ended", method)
	case <-timeout.C:
		return fmt.Errorf("%s: no answer", method)
	}
}

func (w *wire) send(session, method string, params object, answer chan message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	command := object{"id": w.last, "method": method}
	if params != nil {
		command["params"] = params
	}
	if session != "" {
		command["sessionId"] = session
	}
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	w.waiting[w.last] = answer
	_, err = w.out.Write(append(line, 0))
	return err
}

func (w *wire) close() {
	if err := errors.Join(w.out.Close(), w.in.Close()); err != nil {
		return // whoever has closed it before was right
	}
	<-w.gone
}
