package engine

import "sync/atomic"

// mostResting bounds how many goroutines of a crew wait for work. Each keeps the stack that it
// has needed, some 16 KB.
const mostResting = 128

// Crew does each job on a goroutine. One that is done takes another job, with the stack that it
// has grown already: where jobs are short, growing a new one each time is a seventh of the work.
type Crew[Job any] struct {
	do      func(Job)
	over    <-chan struct{} // closed when those that rest are to leave
	next    chan Job        // for those that rest
	resting atomic.Int32
}

// NewCrew makes a crew, whose goroutines leave when over is closed and they have nothing to do.
func NewCrew[Job any](do func(Job), over <-chan struct{}) *Crew[Job] {
	return &Crew[Job]{do: do, over: over, next: make(chan Job)}
}

// Take has a job done, and does not wait for it.
func (c *Crew[Job]) Take(j Job) {
	select {
	case c.next <- j:
	default: // nobody rests
		go c.work(j)
	}
}

func (c *Crew[Job]) work(j Job) {
	for more := true; more; {
		c.do(j)
		j, more = c.rest()
	}
}

// rest waits for another job. It returns false when the goroutine is not needed.
func (c *Crew[Job]) rest() (j Job, more bool) {
	defer c.resting.Add(-1)
	if c.resting.Add(1) > mostResting {
		return j, false
	}
	select {
	case j = <-c.next:
		return j, true
	case <-c.over:
		return j, false
	}
}
