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
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"yett/internal/store"
)

const (
	// dialTimeout bounds a connection's making, and once more its handshake.
	dialTimeout = time.Second
	// callTimeout bounds every call, connecting included.
	callTimeout = 500 * time.Millisecond
	// quiet is how long a connection may be silent before it is asked whether
	// it lives; it then has callTimeout to answer.
	quiet = 500 * time.Millisecond
	// buffer is the size of each of a connection's two buffers in bytes.
	buffer = 32 << 10
)

// Options says how the server is reached.
type Options struct {
	// Address is host:port.
	Address string
	// Username and Password may be empty.
	Username, Password string
	Database           int
	// TLS is nil for a plain connection.
	TLS *tls.Config
	// Prefix begins the names of all keys and channels.
	Prefix string
	// Reread is how often a set that is followed is read as a whole; a minute
	// when zero.
	Reread time.Duration
}

// Store implements store.Store.
type Store struct {
	o      Options
	client rueidis.Client
	add    *rueidis.Lua
}

// Open connects. When that fails, the Store is as good as any whose server has
// been lost: it finds it by itself. It is nil only when the options make no
// sense. No error tells the password.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.Reread = cmp.Or(o.Reread, time.Minute)
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{o.Address}, ForceSingleClient: true,
		Username: o.Username, Password: o.Password, SelectDB: o.Database, TLSConfig: o.TLS,
		ClientName: "yett",
		Dialer:     net.Dialer{Timeout: dialTimeout, KeepAlive: quiet}, ConnWriteTimeout: callTimeout,
		// One connection for all calls, which are sent together when they come
		// together, and one for each Follow.
		PipelineMultiplex: -1, ReadBufferEachConn: buffer, WriteBufferEachConn: buffer,
		DisableCache: true, DisableRetry: true,
	})
	if client == nil {
		return nil, fmt.Errorf("open the store at %s: %w", o.Address, err)
	}
	s := &Store{o: o, client: client, add: rueidis.NewLuaScript(addScript)}
	if err != nil {
		return s, fmt.Errorf("connect to redis at %s: %w", o.Address, err)
	}
	return s, s.Ping(ctx)
}

// Name implements store.Store.
func (s *Store) Name() string { return "redis" }

// Close implements store.Store.
func (s *Store) Close() { s.client.Close() }

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
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.add.Exec(ctx, s.client, []string{s.key(set)}, args).Error()
	if err != nil {
		return fmt.Errorf("write to redis at %s: %w", s.o.Address, plain(err))
	}
	return nil
}

// Ping implements store.Store. It does what Add does, with nothing to add: a
// server that only answers is of no use.
func (s *Store) Ping(ctx context.Context) error { return s.Add(ctx, "ping") }

// plain turns what the library says about itself into what it means.
func plain(err error) error {
	if errors.Is(err, rueidis.ErrClosing) {
		return errors.New("the store is closed")
	}
	return err
}

// Take implements store.Store.
func (s *Store) Take(context.Context, time.Time, []store.Take) error { panic("to be written") }

// Forget implements store.Store.
func (s *Store) Forget(context.Context, string, string) error { panic("to be written") }
