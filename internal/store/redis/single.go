package redis

// sendBatch lets one server answer calls, in one script.
func (s *Store) sendBatch(batch []*call) {
	client, err := s.client()
	if err != nil {
		fail(batch, err)
		return
	}
	var r request
	var arg []byte
	if len(batch) == 1 {
		r.keys = batch[0].keys
	}
	for _, c := range batch {
		if len(batch) > 1 {
			r.keys = append(r.keys, c.keys...)
		}
		arg = appendCall(arg, c.takes)
	}
	r.arg = string(arg)
	s.takes.run(client, &r)
	if r.err != nil {
		s.distrust(r.err)
		fail(batch, r.err)
		return
	}
	for _, c := range batch {
		r.answer, c.err = readCall(r.answer, c.takes)
	}
}

func fail(batch []*call, err error) {
	for _, c := range batch {
		c.err = err
	}
}
