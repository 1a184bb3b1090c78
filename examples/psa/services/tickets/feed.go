package tickets

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"yett/examples/psa/services/kit"
)

const (
	maxListeners = 10_000
	listenerRoom = 64 // events that a listener may lag behind before it is cut off
)

// feed hands every change of a ticket to whoever listens and may see the ticket.
type feed struct {
	mu        sync.Mutex
	sequence  int
	listeners map[*listener]struct{}
}

// listener is one open stream. events is closed when it lagged too far behind.
type listener struct {
	identity kit.Identity
	events   chan []byte // ready frames; shared between listeners, so nobody writes into them
}

func newFeed() *feed { return &feed{listeners: map[*listener]struct{}{}} }

func (f *feed) join(id kit.Identity) (*listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) >= maxListeners {
		return nil, &kit.Problem{
			Status: http.StatusServiceUnavailable, Code: kit.CodeUnavailable,
			Message: fmt.Sprintf("There are already %d open streams.", maxListeners),
		}
	}
	joined := &listener{identity: id, events: make(chan []byte, listenerRoom)}
	f.listeners[joined] = struct{}{}
	return joined, nil
}

func (f *feed) leave(l *listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, l)
}

// publish never waits: a listener whose room is full is cut off, so that it connects again and reads the list afresh
// instead of missing an event without knowing.
func (f *feed) publish(name string, ticket Ticket) error {
	data, err := json.Marshal(ticket)
	if err != nil {
		return fmt.Errorf("encode ticket %s for the event stream: %w", ticket.ID, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sequence++
	frame := fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", f.sequence, name, data)
	for l := range f.listeners {
		if !ticket.visibleTo(l.identity) {
			continue
		}
		select {
		case l.events <- frame:
		default:
			delete(f.listeners, l)
			close(l.events)
		}
	}
	return nil
}
