//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"yett/internal/store/redis/redistest"
)

// stores are the variables for where limits can count.
func stores(t *testing.T) map[string][]string {
	t.Helper()
	server := redistest.Start(t)
	return map[string][]string{
		"in memory": nil,
		"in Redis":  {"REDIS_HOST=" + server.Host, "REDIS_PORT=" + strconv.Itoa(server.Port)},
	}
}

// patient is the example's configuration with a store that may take its time, on a machine
// where many tests run: a late answer lets limits go on without it, and these tests count
// exactly. Further texts are replaced as changed does it.
func patient(t *testing.T, texts ...string) string {
	t.Helper()
	const password = "    password: \"${REDIS_PASSWORD:-}\"\n"
	return changed(t, append([]string{password, password + "    timeout: 1s\n"}, texts...)...)
}

// keys are under which keys a limit counts, as its page shows them.
func (s *stage) keys(t *testing.T, limit string) (keys []string) {
	t.Helper()
	got := s.ask(t, "GET", "/internal/limits?top=1000&limit="+limit, tokenWith(t, claims{"sub": "watcher", "role": "system_admin"})).want(t, 200)
	page := decode[struct {
		Limits []struct {
			Nearest []struct{ Key string }
		}
	}](t, got)
	for _, k := range page.Limits[0].Nearest {
		keys = append(keys, k.Key)
	}
	slices.Sort(keys)
	return keys
}

// D11: a user has the 1000 of users, not the 100 of an address; who share an address don't
// disturb each other; and known callers use up nothing of what unknown ones have.
func TestD11UsersHaveTheirOwn(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil)
	first, second := tokenWith(t, claims{"sub": "first"}), tokenWith(t, claims{"sub": "second"})
	for i := range 150 {
		if got, want := told(s.ask(t, "GET", "/api/v1/customers", first).want(t, 200)), fmt.Sprint("1000;w=900 ", 999-i); got != want {
			t.Fatalf("request %d is told %q, want %q", i+1, got, want)
		}
	}
	if got := told(s.ask(t, "GET", "/", "")); got != "100;w=900 99" {
		t.Errorf("who is unknown at the same address is told %q", got)
	}
	if got := told(s.ask(t, "GET", "/api/v1/tickets", second)); got != "1000;w=900 999" {
		t.Errorf("another user at the same address is told %q", got)
	}
	for range 850 {
		s.ask(t, "GET", "/api/v1/customers", first).want(t, 200)
	}
	limited(t, s.ask(t, "GET", "/api/v1/customers", first), "1000;w=900")
	if got := told(s.ask(t, "GET", "/api/v1/tickets", second).want(t, 200)); got != "1000;w=900 998" {
		t.Errorf("when the first has used up all, the second is told %q", got)
	}
	if n := s.stubs["crm"].requests.Load(); n != 1000 {
		t.Errorf("the service was asked %d times", n)
	}
}

// D12: users are counted by who they are, not by where.
func TestD12UsersAreNotTheirAddress(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil)
	for i := range 20 {
		token := tokenWith(t, claims{"role": "system_admin"}) // a new one each time
		one := s.from(t, fmt.Sprintf("127.0.6.%d", i+1))
		if got, want := told(one.ask(t, "GET", "/api/v1/protected/admin", token).want(t, 200)), fmt.Sprint("20;w=60 ", 19-i); got != want {
			t.Fatalf("from address %d it is told %q, want %q", i+1, got, want)
		}
	}
	limited(t, s.from(t, "127.0.6.99").ask(t, "GET", "/api/v1/protected/system", tokenWith(t, claims{"role": "system_admin"})), "20;w=60")
	if keys := s.keys(t, "admin"); !slices.Equal(keys, []string{"user:u-technician"}) {
		t.Errorf("counted are %q", keys)
	}
}

// A bad token is nobody's: it counts where unknown callers do, and is answered with 401 when that
// is used up too. Who is known does not notice.
func TestContractBadTokensAreNobodys(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil)
	token := tokenOf(t, "technician")
	spend(t, "100;w=900", 401, func() answer { return s.ask(t, "GET", "/api/v1/customers", token+"x") })
	got := s.ask(t, "GET", "/api/v1/customers", token+"x")
	refused(t, got, 401, "INVALID_TOKEN")
	if told(got) != "100;w=900 0" {
		t.Errorf("one bad token more is told %q", told(got))
	}
	limited(t, s.ask(t, "GET", "/api/v1/customers", ""), "100;w=900")
	limited(t, s.ask(t, "GET", "/", ""), "100;w=900")
	s.ask(t, "GET", "/", token).want(t, 429) // an open page asks nobody who calls
	if got := told(s.ask(t, "GET", "/api/v1/customers", token).want(t, 200)); got != "1000;w=900 999" {
		t.Errorf("who is known is told %q", got)
	}
}

// D9: an address that a caller writes into X-Forwarded-For is no other caller, and what is no
// address is no key.
func TestD9ForwardedAddressesAreNotBelieved(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil)
	turn := 0
	ask := func() answer {
		turn++
		ip := fmt.Sprintf("198.51.100.%d", turn)
		garbage := []string{ip, "not-an-ip {}*", "user:victim", ip + ", " + ip, "2001:db8::" + strconv.Itoa(turn), "\t", "127.0.0.1|ip:" + ip}[turn%7]
		return s.ask(t, "GET", "/", "", "X-Forwarded-For", garbage, "X-Real-IP", ip, "Forwarded", "for="+ip, "True-Client-IP", ip, "CF-Connecting-IP", ip)
	}
	spend(t, "100;w=900", 200, ask)
	for range 100 {
		limited(t, ask(), "100;w=900")
	}
	if keys := s.keys(t, "global"); !slices.Equal(keys, []string{"ip:127.0.0.1"}) {
		t.Errorf("counted are %q", keys)
	}
}

// D9: behind a listed proxy the rightmost address that is not one counts, whatever stands left of
// it. D15: an IPv6 caller is a /64.
func TestD9BehindAProxy(t *testing.T) {
	t.Parallel()
	file := changed(t, "name: ${SERVICE_NAME:-psa-api-gateway}\n", "name: gateway\ntrusted_proxies: [127.0.0.1, 10.0.0.0/8]\n")
	for name, tt := range map[string]struct {
		forwarded func(i int) string
		key       string
		other     string // somebody else, who has used nothing
	}{
		"rotating on the left":  {func(i int) string { return fmt.Sprintf("198.51.100.%d, 203.0.113.9, 10.0.0.%d", i%250, i%250) }, "ip:203.0.113.9", "203.0.113.9, 203.0.113.10"},
		"rotating within a /64": {func(i int) string { return fmt.Sprintf("2001:db8:0:7:%x::%x", i, i) }, "ip:2001:db8:0:7::/64", "2001:db8:0:8::1"},
		"IPv4 written as IPv6":  {func(i int) string { return []string{"203.0.113.9", "::ffff:203.0.113.9"}[i%2] }, "ip:203.0.113.9", "203.0.113.8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setLimitedStageOf(t, file, nil)
			turn := 0
			ask := func() answer {
				turn++
				return s.ask(t, "GET", "/", "", "X-Forwarded-For", tt.forwarded(turn))
			}
			spend(t, "100;w=900", 200, ask)
			limited(t, ask(), "100;w=900")
			if keys := s.keys(t, "global"); !slices.Equal(keys, []string{tt.key}) {
				t.Errorf("counted are %q, want %q", keys, tt.key)
			}
			if got := told(s.ask(t, "GET", "/", "", "X-Forwarded-For", tt.other)); got != "100;w=900 99" {
				t.Errorf("another caller is told %q", got)
			}
			// A stranger can say that too, and is only himself.
			if got := told(s.from(t, "127.0.7.1").ask(t, "GET", "/", "", "X-Forwarded-For", "203.0.113.9")); got != "100;w=900 99" {
				t.Errorf("a stranger is told %q", got)
			}
		})
	}
}

// D9: what a listed proxy passes on and is no address makes no key either.
func TestD9GarbageIsNoKey(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, changed(t, "name: ${SERVICE_NAME:-psa-api-gateway}\n", "name: gateway\ntrusted_proxies: [127.0.0.1]\n"), nil)
	for _, garbage := range []string{"not-an-ip {}*", "user:victim", "{}", "unknown", "_hidden", "1.2.3.4.5", "", ",", "203.0.113.9|x", "%2e", "ip:203.0.113.9", "203.0.113.9%eth0"} {
		s.ask(t, "GET", "/", "", "X-Forwarded-For", garbage).want(t, 200)
	}
	for _, key := range s.keys(t, "global") {
		text, ok := strings.CutPrefix(key, "ip:")
		if _, err := netip.ParseAddr(text); !ok || err != nil {
			t.Errorf("a key is %q", key)
		}
	}
}

// D10: nobody counts under somebody else's key, whatever the token says: it once locked out
// another user.
func TestD10KeysCantBeForged(t *testing.T) {
	t.Parallel()
	names := []string{
		"victim|ip:127.0.0.1", "}{", "{victim}", "user:victim", "ip:127.0.0.1", "victim\r\n", "victim ", " victim", "victim\x00", "victim\u200b", "%76ictim",
		"victim%", "victim%20", "-", "~", "~victim", "Victim", "*", "victim*", strings.Repeat("victim", 30), strings.Repeat("victim", 31), "víctim",
	}
	for name, env := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setLimitedStageOf(t, patient(t), nil, env...)
			together(names, func(sub string) {
				token := tokenWith(t, claims{"sub": sub, "role": "system_admin"})
				for i := range 21 {
					got := s.ask(t, "GET", "/api/v1/protected/admin", token)
					if want := fmt.Sprint("20;w=60 ", max(0, 19-i)); told(got) != want || (got.StatusCode == 429) != (i == 20) {
						t.Errorf("request %d of %q: status %d, %q, want %q", i+1, sub, got.StatusCode, told(got), want)
					}
				}
			})
			victim := tokenWith(t, claims{"sub": "victim", "role": "system_admin"})
			spend(t, "20;w=60", 200, func() answer { return s.ask(t, "GET", "/api/v1/protected/admin", victim) })
			keys := s.keys(t, "admin")
			for _, key := range keys {
				if !strings.HasPrefix(key, "user:") || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("{}|", r) }) {
					t.Errorf("a key is %q", key)
				}
			}
			if len(keys) != len(names)+1 {
				t.Errorf("%d callers have %d keys: %q", len(names)+1, len(keys), keys)
			}
		})
	}
}

// D10: neither do the parts of a mix run into each other, nor headers into what they are not.
func TestD10MixesCantBeForged(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, changed(t,
		"  flood: #", "  pair: {limit: 1, window: 1h, by: [user, header.X-Team, header.X-Part]}\n  flood: #",
		"    service: reports\n", "    service: reports\n    policies: {ratelimit: {limits: pair}}\n"), nil)
	callers := [][]string{ // user, team, part
		{"a", "b", "c"}, {"a", "b|header.x-part:c", "c"}, {"a", "b", "c|header.x-part:c"}, {"a|header.x-team:b", "b", "c"}, {"a", "b,c", "c"},
		{"a", "{b}", "c"}, {"a", "b%7Cc", "c"}, {"a", "-", "c"}, {"a", "", "c"}, {"a", "~b", "c"}, {"a", "b", ""}, {"a", "b", "c " + strings.Repeat("x", 100)},
	}
	for round, want := range []int{200, 429} {
		for _, c := range callers {
			header := as(tokenWith(t, claims{"sub": c[0]}))
			header["X-Team"], header["X-Part"] = []string{c[1]}, []string{c[2]}
			if got := send(t, s.client, "GET", s.url+"/api/v1/reports", "", header); got.StatusCode != want {
				t.Errorf("round %d of %q: status %d, want %d", round, c, got.StatusCode, want)
			}
		}
	}
	for _, absent := range []http.Header{{}, {"X-Team": {"b"}}, {"X-Part": {"c"}}} { // is not the same as empty, or a dash
		header := as(tokenWith(t, claims{"sub": "a"}))
		for name, values := range absent {
			header[name] = values
		}
		send(t, s.client, "GET", s.url+"/api/v1/reports", "", header).want(t, 200)
	}
}
