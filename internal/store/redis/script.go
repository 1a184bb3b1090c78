package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// script is a Lua script. Servers know it by its sum once they have run it, until
// they are started again.
type script struct {
	text, sum string
	// clock, unless nil, is what the script reads instead of the server's.
	clock func() time.Time
}

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text: text, sum: hex.EncodeToString(sum[:])}
}

// request is the script with arguments, and what came of it.
type request struct {
	keys   []string
	arg    string
	answer string
	err    error
}

// run sends requests together. It returns when all are answered, or given up by the
// library: about a second at most after a server has stopped answering.
func (s *script) run(client rueidis.Client, requests ...*request) {
	s.do(client, requests, s.bySum)
	var unknown []*request
	for _, r := range requests {
		if known, ok := rueidis.IsRedisErr(r.err); ok && known.IsNoScript() {
			unknown = append(unknown, r)
		}
	}
	if len(unknown) > 0 {
		s.do(client, unknown, s.byText)
	}
}

func (s *script) bySum(client rueidis.Client, r *request) rueidis.Completed {
	c := client.B().Evalsha().Sha1(s.sum).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.arg)
	if s.clock != nil {
		c = c.Arg(s.now())
	}
	return c.Build()
}

func (s *script) byText(client rueidis.Client, r *request) rueidis.Completed {
	c := client.B().Eval().Script(s.text).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.arg)
	if s.clock != nil {
		c = c.Arg(s.now())
	}
	return c.Build()
}

func (s *script) now() string { return strconv.FormatInt(s.clock().UnixMicro(), 10) }

// do has no deadline of its own, because one would break the connection, and all
// other calls on it, for a single late answer. The library breaks connections that
// are dead.
func (s *script) do(client rueidis.Client, requests []*request, build func(rueidis.Client, *request) rueidis.Completed) {
	if len(requests) == 1 {
		requests[0].answer, requests[0].err = client.Do(context.Background(), build(client, requests[0])).ToString()
		return
	}
	commands := make(rueidis.Commands, len(requests))
	for i, r := range requests {
		commands[i] = build(client, r)
	}
	for i, result := range client.DoMulti(context.Background(), commands...) {
		requests[i].answer, requests[i].err = result.ToString()
	}
}
