package overload

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// interval is how often the gateway looks at itself.
const interval = 100 * time.Millisecond

// Settings is beyond what the gateway has too much to do.
type Settings struct {
	// Memory is in bytes, 0 for no bound.
	Memory int64
	// RunQueue is how long goroutines may wait to run, 0 for no bound. 50 ms suits most
	// machines. What nine in ten goroutines waited at most, on one processor:
	//
	//	tasks of 0.2 ms at 30 to 70 % load         0.4 ms
	//	at 80, 90 and 100 % load                   10, 42 and 335 ms
	//	2, 4 and 16 busy goroutines                25, 67 and 335 ms
	//	30 % load, while others take most of it    168 ms
	//
	// Beyond the capacity waits grow until something gives, so that any bound is reached,
	// and a higher one only costs time. One that is met by a few busy goroutines refuses
	// requests without need.
	RunQueue time.Duration
}

// Check returns what is wrong with settings and what to do, or nil.
func (s Settings) Check() error {
	switch {
	case s.Memory < 0:
		return fmt.Errorf("memory is %d: say how many bytes the gateway may use, or 0 for no bound", s.Memory)
	case s.RunQueue < 0:
		return fmt.Errorf("run queue is %v: say how long goroutines may wait to run, for instance 50ms, or 0 for no bound", s.RunQueue)
	}
	return nil
}

// Cause is what there is too much of.
type Cause string

const (
	// Memory is more memory than the bound.
	Memory Cause = "memory"
	// RunQueue is goroutines that wait for a processor for longer than the bound.
	RunQueue Cause = "run queue"
)

// Event is the begin or the end of refusing.
type Event struct {
	Cause Cause
	// Begins tells that requests are refused from now on, otherwise none are any more for this
	// cause.
	Begins bool
	// State is what was seen.
	State State
}

// State is what is known at one moment.
type State struct {
	// Cause is why requests are refused, "" when none are. Share is how many, from 0 to 0.95.
	Cause Cause
	Share float64
	// Memory is in bytes. Both values are those of the last look, and 0 without a bound.
	Memory   int64
	RunQueue time.Duration
	// Refused is how many requests were.
	Refused int64
}

// Monitor watches the gateway. Its methods may be called from many goroutines.
type Monitor struct {
	settings Settings
	source   source
	changed  func(Event)

	share   atomic.Uint32 // of whole
	refused atomic.Int64

	mu    sync.Mutex
	state State

	// Those of the goroutine.
	memory, queue controller

	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

// whole is a share of 1.
const whole = 1 << 32

// source reads values.
type source interface {
	// read returns the memory in bytes, and how long goroutines wait, or false where nothing new is
	// known of that.
	read() (memory int64, queue time.Duration, known bool)
}

// New starts a Monitor, or says what is wrong with its settings. changed, if not nil, is told on a goroutine of
// the Monitor when requests begin to be refused and when that ends; it must return soon, and not call
// Close. Close has to follow.
func New(s Settings, changed func(Event)) (*Monitor, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return start(s, changed, newRuntimeSource(s)), nil
}

func start(s Settings, changed func(Event), from source) *Monitor {
	m := &Monitor{settings: s, source: from, changed: changed, stop: make(chan struct{})}
	m.memory.ease, m.queue.ease = memoryEase, queueEase
	if s != (Settings{}) {
		m.done.Go(m.run)
	}
	return m
}

// Close ends the Monitor. Nothing is refused afterwards.
func (m *Monitor) Close() {
	m.once.Do(func() { close(m.stop) })
	m.done.Wait()
	m.share.Store(0)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Cause, m.state.Share = "", 0
}

// Shed tells whether to refuse a request.
func (m *Monitor) Shed() bool {
	share := m.share.Load()
	return share != 0 && m.draw(share)
}

func (m *Monitor) draw(share uint32) bool {
	if rand.Uint32() >= share {
		return false
	}
	m.refused.Add(1)
	return true
}

// State returns what is known.
func (m *Monitor) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Refused = m.refused.Load()
	return s
}

func (m *Monitor) run() {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			m.look()
		}
	}
}

// look reads the values and moves the share.
func (m *Monitor) look() {
	memory, queue, known := m.source.read()
	was := [2]bool{m.memory.share > 0, m.queue.share > 0}
	if m.settings.Memory > 0 {
		m.memory.step(float64(memory) / float64(m.settings.Memory))
	}
	if m.settings.RunQueue > 0 && known {
		m.queue.step(float64(queue) / float64(m.settings.RunQueue))
	}
	m.note(memory, queue, known)
	m.tell(Memory, was[0], m.memory.share > 0)
	m.tell(RunQueue, was[1], m.queue.share > 0)
}

func (m *Monitor) note(memory int64, queue time.Duration, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	s.Memory = memory
	if known {
		s.RunQueue = queue
	}
	s.Cause, s.Share = "", max(m.memory.share, m.queue.share)
	switch {
	case s.Share == 0:
	case s.Share == m.memory.share:
		s.Cause = Memory
	default:
		s.Cause = RunQueue
	}
	m.share.Store(uint32(s.Share * whole))
}

func (m *Monitor) tell(c Cause, was, is bool) {
	if was != is && m.changed != nil {
		m.changed(Event{Cause: c, Begins: is, State: m.State()})
	}
}
