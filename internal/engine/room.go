package engine

import "sync"

// room is how many connections there may be. One goroutine enters, any may leave.
type room struct {
	mu   sync.Mutex
	most int // 0 for any number
	open int
	free chan struct{} // of one place: something has changed; nil as long as nobody has waited
}

// resize changes the bound. Connections that are open stay, even if they are more.
func (r *room) resize(most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = most
	r.tell()
}

// enter waits until one more connection may be open, and counts it. It returns false when
// over is closed before that.
func (r *room) enter(over <-chan struct{}) bool {
	for {
		free := r.take()
		if free == nil {
			return true
		}
		select {
		case <-free:
		case <-over:
			return false
		}
	}
}

// take counts one more connection, or returns what tells that there may be room.
func (r *room) take() (free <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most == 0 || r.open < r.most {
		r.open++
		return nil
	}
	if r.free == nil {
		r.free = make(chan struct{}, 1)
	}
	return r.free
}

func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	r.tell()
}

// tell has to be called with the lock held.
func (r *room) tell() {
	select {
	case r.free <- struct{}{}:
	default: // nobody waits, which the nil channel is too, or it was told
	}
}
