package engine

// mostWaiting bounds how many connections are taken from a queue, so that somebody who opens
// them without end doesn't keep Unbind. It is more than the kernel lets wait.
const mostWaiting = 1 << 16

// takeWaiting serves the connections that wait in the kernel's queue, as long as there is room.
func (s *Server) takeWaiting() {
	for range mostWaiting {
		if s.room.take() != nil {
			return
		}
		nc := s.queue.TakeWaiting()
		if nc == nil {
			s.room.leave()
			return
		}
		s.shaking.Add(1)
		s.crew.Take(nc)
	}
}
