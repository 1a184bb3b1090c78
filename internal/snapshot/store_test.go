package snapshot

import (
	"os"
	"strings"
	"testing"
)

// Mistakes in the store are found without connecting, each with its place.
func TestStoreProblems(t *testing.T) {
	for _, test := range []struct{ store, want string }{
		{`{redis: {host: "localhost:6379"}}`, `yett.yaml:2:23: store.redis.host: "localhost:6379" is not a host, write the name`},
		{`{redis: {host: "redis://localhost"}}`, `store.redis.host: "redis://localhost" is not a host`},
		{`{redis: {host: "[::1]"}}`, `store.redis.host: "[::1]" is not a host`},
		{`{redis: {host: a, username: b}}`, `store.redis.username: a user without a password can't log in`},
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
	for _, test := range []struct{ store, address, name string }{
		{`{redis: {host: "::1"}}`, "[::1]:6379", ""},
		{`{redis: {host: redis.test, port: 7000, tls: {}}}`, "redis.test:7000", "redis.test"},
		{`{redis: {host: 127.0.0.1, tls: {server_name: other.test}}}`, "127.0.0.1:6379", "other.test"},
	} {
		s := compile(t, "store: "+test.store+small, deps(t), nil)
		if s.Store == nil || s.Store.Address != test.address || s.Store.Prefix != "yett:" {
			t.Errorf("%s: %+v", test.store, s.Store)
		} else if s.Store.TLS != nil && s.Store.TLS.ServerName != test.name {
			t.Errorf("%s: the certificate has to name %q", test.store, s.Store.TLS.ServerName)
		}
	}
	for _, store := range []string{"{}", `{redis: {host: "", password: x}}`} {
		if s := compile(t, "store: "+store+small, deps(t), nil); s.Store != nil {
			t.Errorf("%s: %+v", store, s.Store)
		}
	}
}
