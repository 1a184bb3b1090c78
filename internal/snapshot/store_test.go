package snapshot

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Mistakes in the store are found without connecting, each with its place.
func TestStoreProblems(t *testing.T) {
	for _, test := range []struct{ store, want string }{
		{`{redis: {host: "localhost:6379"}}`, `yett.yaml:2:23: store.redis.host: "localhost:6379" is not a host, write the name`},
		{`{redis: {host: "redis://localhost"}}`, `store.redis.host: "redis://localhost" is not a host`},
		{`{redis: {host: "[::1]"}}`, `store.redis.host: "[::1]" is not a host`},
		{`{redis: {host: a, username: b}}`, `store.redis.username: a user without a password can't log in`},
		{`{redis: {host: "redis://:hunter2@localhost"}}`, `store.redis.host: what has an @ in it is not a host`},
		{`{redis: {host: a, socket: /b}}`, `yett.yaml:2:34: store.redis.socket: host and socket both say where redis is, keep one of them`},
		{`{redis: {host: a, cluster: ["b:1"], sentinel: {primary: c, addresses: "d:1"}}}`, `store.redis.sentinel: host and sentinel and cluster all say where redis is, keep one of them`},
		{`{redis: {socket: redis.sock}}`, `store.redis.socket: "redis.sock" is not an absolute path`},
		{`{redis: {socket: /redis.sock, tls: {}}}`, `store.redis.tls: there is no TLS on a Unix socket`},
		{`{redis: {cluster: [a]}}`, `store.redis.cluster[0]: "a" is not host:port, write one such as redis-1.internal:6379`},
		{`{redis: {cluster: ["a:1", "b:0"]}}`, `yett.yaml:2:34: store.redis.cluster[1]: "b:0" is not host:port`},
		{`{redis: {cluster: ["user:hunter2@a:1"]}}`, `store.redis.cluster[0]: what has an @ in it is not host:port`},
		{`{redis: {cluster: ["redis://a:1"]}}`, `store.redis.cluster[0]: "redis://a:1" is not host:port`},
		{`{redis: {cluster: ["a:1"], database: 1}}`, `store.redis.database: a cluster has database 0 only`},
		{`{redis: {cluster: ["a:1"], prefix: "{a}"}}`, `store.redis.prefix: in a cluster, what is between braces decides`},
		{`{redis: {sentinel: {primary: a, addresses: "a:99999"}}}`, `store.redis.sentinel.addresses[0]: "a:99999" is not host:port`},
		{`{redis: {sentinel: {primary: a, addresses: "a:1", username: b}}}`, `store.redis.sentinel.username: a user without a password can't log in`},
		{`{redis: {host: a, tls: {ca: none.pem}}}`, `store.redis.tls.ca: reading certificate authorities`},
		{`{redis: {host: a, tls: {ca: empty.pem}}}`, `store.redis.tls.ca: no certificate in empty.pem`},
	} {
		d := deps(t)
		if err := os.WriteFile("empty.pem", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c := parse(t, "\nstore: "+test.store+small)
		_, err := Compile(c, d, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", test.store, err, test.want)
		}
		if _, alone := Store(c); alone == nil || alone.Error() != err.Error() {
			t.Errorf("%s: by itself it is %v", test.store, alone)
		}
	}
}

func TestStoreOptions(t *testing.T) {
	for _, test := range []struct{ store, where, name string }{
		{`{redis: {host: "::1"}}`, "redis at [::1]:6379", ""},
		{`{redis: {host: redis.test, port: 7000, tls: {}}}`, "redis at redis.test:7000", "redis.test"},
		{`{redis: {host: 127.0.0.1, password: hunter2, tls: {server_name: other.test}}}`, "redis at 127.0.0.1:6379", "other.test"},
		{`{redis: {socket: /run/redis.sock}}`, "redis at /run/redis.sock", ""},
		{`{redis: {cluster: ["a:1", "[::1]:2"], tls: {}}}`, "redis in the cluster at a:1, [::1]:2", ""},
		{`{redis: {sentinel: {primary: main, addresses: "a:1", password: hunter2}, tls: {server_name: other.test}}}`, "redis in the sentinel group main at a:1", "other.test"},
	} {
		s := compile(t, "store: "+test.store+small, deps(t), nil)
		if s.Store == nil || s.Store.String() != test.where || s.Store.Prefix != "yett:" || s.Store.Timeout != 25*time.Millisecond {
			t.Errorf("%s: %+v", test.store, s.Store)
		} else if s.Store.TLS != nil && s.Store.TLS.ServerName != test.name {
			t.Errorf("%s: the certificate has to name %q", test.store, s.Store.TLS.ServerName)
		}
	}
	s := compile(t, `store: {redis: {sentinel: {primary: main, addresses: "a:1", username: watch, password: word}, username: u, password: p, database: 2, timeout: 3ms}}`+small, deps(t), nil)
	if o := s.Store; o.Sentinel.Username != "watch" || o.Sentinel.Password != "word" || o.Username != "u" || o.Password != "p" || o.Database != 2 || o.Timeout != 3*time.Millisecond {
		t.Errorf("%#v", o)
	}
	for _, store := range []string{"{}", `{redis: {host: "", password: x}}`, `{redis: {cluster: []}}`} {
		if s := compile(t, "store: "+store+small, deps(t), nil); s.Store != nil {
			t.Errorf("%s: %+v", store, s.Store)
		}
	}
}
