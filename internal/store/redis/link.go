package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	// firstTry is how long Open waits for a connection.
	firstTry = 3 * time.Second
	// nextTry is how long after a failure a client is made again, and how often at
	// most one is replaced.
	nextTry = 500 * time.Millisecond
	// lookAgain is how often sentinels are asked for the primary, beside what they
	// tell by themselves: what they told may have been missed.
	lookAgain = 2 * time.Second
	// ring is how many calls may be on their way on a connection, as a power of two.
	// Memory is kept for each.
	ring = 8
	// redirections is how often a call follows a cluster to another node.
	redirections = 8
)

// link is the way to the store. A client of a single server connects by itself
// whenever it is used; one of sentinels or of a cluster is only there when some of
// them are, and is made again until then.
type link struct {
	o     Options
	now   atomic.Pointer[linked]
	first chan struct{} // closed after the first try
	again chan struct{} // asks for a new client
	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

// linked is a client, or why there is none, or both after a first try that failed.
type linked struct {
	client rueidis.Client
	err    error
}

// begin starts to make a client.
func (l *link) begin(o Options) {
	l.o, l.first, l.again, l.stop = o, make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	l.now.Store(&linked{err: errors.New("not connected yet")})
	l.ended.Go(l.keep)
}

// wait waits for the first try, and returns what went wrong.
func (l *link) wait(ctx context.Context) error {
	timer := time.NewTimer(firstTry)
	defer timer.Stop()
	select {
	case <-l.first:
		return l.now.Load().err
	case <-timer.C:
		return errors.New("it takes too long")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end closes the client and waits until nothing runs any more.
func (l *link) end() {
	l.once.Do(func() { close(l.stop) })
	l.ended.Wait()
}

// keep makes the client, and another when the one there is asked for.
func (l *link) keep() {
	l.make()
	close(l.first)
	for {
		if l.now.Load().client == nil {
			if !l.pause(nextTry) {
				return
			}
			l.make()
			continue
		}
		select {
		case <-l.stop:
			l.now.Swap(&linked{err: rueidis.ErrClosing}).client.Close()
			return
		case <-l.again:
			l.replace()
		}
	}
}

// pause waits, and tells whether to go on.
func (l *link) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.stop:
		l.now.Store(&linked{err: rueidis.ErrClosing})
		return false
	case <-timer.C:
		return true
	}
}

func (l *link) make() {
	client, err := dial(l.o)
	l.now.Store(&linked{client, err})
}

// replace puts a new client in the place of one that speaks to the wrong server,
// unless there is nobody to speak to.
func (l *link) replace() {
	client, err := dial(l.o)
	if err != nil {
		if client != nil {
			client.Close()
		}
	} else {
		old := l.now.Swap(&linked{client: client}).client
		defer old.Close() // when those who use it are done
	}
	timer := time.NewTimer(nextTry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stop:
	}
}

// client returns what to speak through.
func (s *Store) client() (rueidis.Client, error) {
	now := s.link.now.Load()
	if now.client == nil {
		return nil, now.err
	}
	return now.client, nil
}

// distrust connects anew when an error tells that the server is none to write to:
// a primary that became a replica keeps its connections, while its name stands for
// another one already. Sentinels and clusters tell by themselves.
func (s *Store) distrust(err error) {
	known, ok := rueidis.IsRedisErr(err)
	if !ok || s.o.Sentinel != nil || len(s.o.Cluster) > 0 || !strings.HasPrefix(known.Error(), "READONLY") {
		return
	}
	select {
	case s.link.again <- struct{}{}:
	default: // it is asked for already
	}
}

// dial makes a client. That of a single server is returned with an error too.
func dial(o Options) (rueidis.Client, error) {
	c := rueidis.ClientOption{
		Username: o.Username, Password: o.Password, SelectDB: o.Database, TLSConfig: o.TLS,
		ClientName: "yett",
		Dialer:     net.Dialer{Timeout: dialTimeout, KeepAlive: quiet}, ConnWriteTimeout: callTimeout,
		// One connection for all calls, which are sent together when they come
		// together, and one for each Follow.
		PipelineMultiplex: -1, ReadBufferEachConn: buffer, WriteBufferEachConn: buffer,
		DisableCache: true, DisableRetry: true,
	}
	if len(o.Cluster) == 0 {
		c.RingScaleEachConn = ring // there are as many calls as senders, and a few others
	}
	if o.TLS == nil {
		c.DialCtxFn = dialPlain("tcp")
	}
	switch {
	case o.Socket != "":
		c.InitAddress, c.ForceSingleClient, c.DialCtxFn = []string{o.Socket}, true, dialPlain("unix")
	case o.Sentinel != nil:
		c.InitAddress = o.Sentinel.Addresses
		c.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Sentinel.Primary, Username: o.Sentinel.Username, Password: o.Sentinel.Password,
			Dialer: c.Dialer, TLSConfig: o.TLS, ClientName: c.ClientName, TopologyRefreshInterval: lookAgain,
		}
	case len(o.Cluster) > 0:
		c.InitAddress, c.ClusterOption.MaxMovedRedirections = o.Cluster, redirections
		return dialCluster(c)
	default:
		c.InitAddress, c.ForceSingleClient = []string{o.Address}, true
	}
	return rueidis.NewClient(c)
}

// dialCluster refuses a server that is in no cluster, for which the library would
// make a client too.
func dialCluster(c rueidis.ClientOption) (rueidis.Client, error) {
	client, err := rueidis.NewClient(c)
	if err != nil {
		return nil, err
	}
	if client.Mode() != rueidis.ClientModeCluster {
		client.Close()
		return nil, fmt.Errorf("%s is in no cluster", c.InitAddress[0])
	}
	return client, nil
}
