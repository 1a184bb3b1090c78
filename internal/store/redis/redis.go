// Package redis keeps shared state in Redis 6.2 or later, or in Valkey.
//
// A set is a sorted set, whose scores are the ends of its members in
// milliseconds since 1970, under the key PREFIX{SET}. The braces are a hash
// tag, so that in a cluster all that belongs to a set is on one node. What is
// added is published on the channel PREFIX{SET}:DATABASE too, because channels
// know no databases.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"yett/internal/store"
	"yett/internal/store/deadline"
)

const (
	// dialTimeout bounds a connection's making, and once more its handshake.
	dialTimeout = time.Second
	// callTimeout bounds every call, connecting included.
	callTimeout = 500 * time.Millisecond
	// quiet is how long a connection may be silent before it is asked whether
	// it lives; it then has callTimeout to answer.
	quiet = 500 * time.Millisecond
	// defaultTimeout is how long Take may take.
	defaultTimeout = 25 * time.Millisecond
	// buffer is the size of each of a connection's two buffers in bytes.
	buffer = 32 << 10
)

// Options says how the store is reached: by one of Address, Socket, Sentinel and
// Cluster.
type Options struct {
	// Address is host:port of a server, Socket the path of its Unix socket.
	Address, Socket string
	// Sentinel finds the primary of a group of servers.
	Sentinel *Sentinel
	// Cluster is host:port of some nodes of a cluster. It has no databases.
	Cluster []string

	// Username and Password may be empty.
	Username, Password string
	Database           int
	// TLS is nil for plain connections. It is for sentinels too. An empty
	// ServerName stands for the host that is connected to.
	TLS *tls.Config
	// Prefix begins the names of all keys and channels. In a cluster it has no
	// braces.
	Prefix string
	// Timeout is how long Take may take, up to an eighth of it less; 25 ms when
	// zero.
	Timeout time.Duration
	// Reread is how often a set that is followed is read as a whole; a minute
	// when zero.
	Reread time.Duration

	clock func() time.Time // for Take, instead of the server's, in tests
}

// Sentinel names a group of servers and some of the sentinels that watch it.
type Sentinel struct {
	// Primary is the name of the group.
	Primary string
	// Addresses are host:port of sentinels.
	Addresses []string
	// Username and Password are for the sentinels, and may be empty.
	Username, Password string
}

// Where says where the store is, to be read after its name: "at host:port".
func (o Options) Where() string {
	switch {
	case o.Socket != "":
		return "at " + o.Socket
	case o.Sentinel != nil:
		return "in the sentinel group " + o.Sentinel.Primary + " at " + strings.Join(o.Sentinel.Addresses, ", ")
	case len(o.Cluster) > 0:
		return "in the cluster at " + strings.Join(o.Cluster, ", ")
	}
	return "at " + o.Address
}

// String says what the store is and where, and no password.
func (o Options) String() string { return "redis " + o.Where() }

// check finds options that make no sense.
func (o Options) check() error {
	ways := 0
	for _, way := range []bool{o.Address != "", o.Socket != "", o.Sentinel != nil, len(o.Cluster) > 0} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("one of address, socket, sentinel and cluster has to say where redis is")
	case o.Sentinel != nil && (o.Sentinel.Primary == "" || len(o.Sentinel.Addresses) == 0):
		return errors.New("a sentinel group has a name and addresses")
	case len(o.Cluster) > 0 && o.Database != 0:
		return errors.New("a cluster has no databases")
	case len(o.Cluster) > 0 && strings.ContainsAny(o.Prefix, "{}"):
		return errors.New("the prefix of keys in a cluster can't have braces")
	}
	return nil
}

// Store implements store.Store.
type Store struct {
	o      Options
	add    *rueidis.Lua
	takes  *script
	sender *sender
	link   link
}

// Open connects. When that fails, the Store is as good as any whose server has
// been lost: it finds it by itself. It is nil only when the options make no
// sense. No error tells the password.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	o.Reread, o.Timeout = cmp.Or(o.Reread, time.Minute), cmp.Or(o.Timeout, defaultTimeout)
	s := &Store{o: o, add: rueidis.NewLuaScript(addScript), takes: newScript(takeScript)}
	if o.clock != nil {
		s.takes = newScript(takeScriptAt())
		s.takes.clock = o.clock
	}
	s.sender = &sender{deadlines: deadline.New(o.Timeout), appendKey: s.appendLimitKey, send: s.sendBatch, atOnce: senders, batch: together}
	if len(o.Cluster) > 0 {
		s.sender.send, s.sender.atOnce, s.sender.batch = s.sendToCluster, queued, 1
	}
	s.link.begin(o)
	if err := s.link.wait(ctx); err != nil {
		return s, fmt.Errorf("connect to %s: %w", o, err)
	}
	return s, s.Ping(ctx)
}

// Name implements store.Store.
func (s *Store) Name() string { return "redis" }

// Close implements store.Store.
func (s *Store) Close() { s.link.end() }

// key is where a set is, channel where its additions are told.
func (s *Store) key(set string) string { return s.o.Prefix + "{" + set + "}" }

func (s *Store) channel(set string) string { return s.key(set) + ":" + strconv.Itoa(s.o.Database) }

// addScript adds and tells, lets go of what has ended, and makes the key end
// with its last member, all by the server's clock. A member that is there already until
// later or as long is neither changed nor told.
//
// KEYS[1] the set, ARGV[1] the channel, ARGV[2] the skew in milliseconds, then
// the end and the name of each member.
const addScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 3, #ARGV, 2 do
  if redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('PUBLISH', ARGV[1], ARGV[i] .. ':' .. ARGV[i + 1])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2]))
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2] + ARGV[2]))
end
return 1
`

// Add implements store.Store.
func (s *Store) Add(ctx context.Context, set string, entries ...store.Entry) error {
	args := make([]string, 0, 2+2*len(entries))
	args = append(args, s.channel(set), strconv.FormatInt(store.Skew.Milliseconds(), 10))
	for _, e := range entries {
		args = append(args, strconv.FormatInt(e.Until.UnixMilli(), 10), e.Member)
	}
	err := s.within(ctx, func(ctx context.Context, client rueidis.Client) error {
		return s.add.Exec(ctx, client, []string{s.key(set)}, args).Error()
	})
	if err != nil {
		s.distrust(err)
		return fmt.Errorf("write to %s: %w", s.o, plain(err))
	}
	return nil
}

// within calls f, and returns after callTimeout even where the library waits longer,
// such as for a connection that somebody else makes.
func (s *Store) within(ctx context.Context, f func(context.Context, rueidis.Client) error) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx, client) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ping implements store.Store. It does what Add does, with nothing to add: a
// server that only answers is of no use.
func (s *Store) Ping(ctx context.Context) error { return s.Add(ctx, "ping") }

// plain turns what the library says about itself into what it means, and leaves out
// where in a script a server has failed.
func plain(err error) error {
	if errors.Is(err, rueidis.ErrClosing) {
		return errors.New("the store is closed")
	}
	if text, _, ok := strings.Cut(err.Error(), " script: "); ok {
		return errors.New(text)
	}
	return err
}
