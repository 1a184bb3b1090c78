package exchange

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// original makes a request whose views all lie in memory of its own.
func original(pool *Pool, body string) *Exchange {
	x := pool.Get()
	keep := func(s string) string { return x.Keep([]byte(s)) }
	x.Method, x.Host, x.Authority = keep("POST"), keep("api.example"), keep("api.example:443")
	x.RawPath, x.Path, x.Query, x.HasQuery = keep("/a/%37"), keep("/a/7"), keep("q=1"), true
	x.RequestID, x.Out.Path = keep("id-1"), keep("/v2/7")
	x.Out.Host, x.Out.ResponseTimeout = keep("main.example"), time.Second
	for _, name := range []string{"Accept", "X-Two", "X-Two"} {
		x.Request.Add(keep(name), keep("value of "+name))
	}
	x.AddParam(keep("id"), keep("7"))
	x.RequestBody.SetBytes([]byte(body))
	x.Identity = Identity{Subject: "u-1", Roles: []string{"admin"}}
	x.Client = netip.MustParseAddr("192.0.2.1")
	x.Peer, x.Secure, x.Version, x.Now = netip.MustParseAddrPort("192.0.2.2:1"), true, HTTP2, time.Unix(1, 0)
	x.Listener, x.Route, x.Service, x.Upgrade, x.Urgent = "public", "orders", "app", "websocket", true
	x.Status, x.Reason, x.Attempts = 200, NoRoute, 3
	x.Response.Add("X-Answer", "a")
	return x
}

// A copy says what the original said, also when that is gone: with the tag poison, a view
// into it would show.
func TestCopyRequest(t *testing.T) {
	var pool Pool
	body := strings.Repeat("0123456789", 5000)
	content := []byte(body)
	x := original(&pool, "")
	x.RequestBody.SetBytes(content)
	to := new(Exchange)
	x.CopyRequest(to)
	clear(content)
	pool.Put(x)

	want := original(&pool, body)
	if got, whole := to.RequestBody.Whole(); !whole || string(got) != body {
		t.Errorf("the body has %d bytes, whole: %v", len(got), whole)
	}
	if !reflect.DeepEqual(to.Request, want.Request) || !reflect.DeepEqual(to.Params(), want.Params()) {
		t.Errorf("%q\n%q", to.Request.Fields(), to.Params())
	}
	for i, s := range to.texts() {
		if *s != *want.texts()[i] {
			t.Errorf("text %d is %q, want %q", i, *s, *want.texts()[i])
		}
	}
	type plain struct {
		id           Identity
		client       netip.Addr
		peer         netip.AddrPort
		secure       bool
		query        bool
		version      Version
		now          time.Time
		listen, name string
	}
	of := func(x *Exchange) plain {
		return plain{x.Identity, x.Client, x.Peer, x.Secure, x.HasQuery, x.Version, x.Now, x.Listener, x.Route}
	}
	if got, want := of(to), of(want); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// What is not the request stays behind.
	if to.Out != (Outbound{Path: "/v2/7"}) || to.Service != "" || to.Upgrade != "" || to.Urgent || to.Status != 0 || to.Reason != nil || to.Attempts != 0 || to.Response.Len() != 0 {
		t.Errorf("too much was copied: %+v", to)
	}
}

// The original may be changed, and a body that streams is nobody else's.
func TestCopyIsApart(t *testing.T) {
	var pool Pool
	x := original(&pool, "abc")
	to := pool.Get()
	x.CopyRequest(to)
	x.Request.Set("Accept", "other")
	x.ResetParams()
	copy(x.arena, bytes.Repeat([]byte{'!'}, len(x.arena)))
	if to.Request.Get("Accept") != "value of Accept" || to.Param("id") != "7" || to.Method != "POST" {
		t.Errorf("the copy has become %q %q %q", to.Method, to.Request.Get("Accept"), to.Param("id"))
	}
	if b := to.Bytes(8); copy(b, "########") == 8 && to.Query != "q=1" {
		t.Errorf("further memory lies within the copy: %q", to.Query)
	}
	x.RequestBody.SetSource(readCloser{strings.NewReader("abc")}, 3)
	again := pool.Get()
	x.CopyRequest(again)
	if whole, ok := again.RequestBody.Whole(); !ok || len(whole) != 0 || x.RequestBody.BytesRead() != 0 {
		t.Errorf("a stream was touched: %q", whole)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestCookie(t *testing.T) {
	var h Header
	h.Add("Cookie", "a=1; b = 2;c=3;; =x; d")
	h.Add("Accept", "e=5")
	h.Add("Cookie", "b=4; a=9; e=\"q=1\"; f=")
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"a", "1", true}, {"c", "3", true}, {"b", "4", true}, {"e", `"q=1"`, true}, {"f", "", true},
		{"d", "", false}, {"A", "", false}, {"x", "", false}, {"q", "", false},
	} {
		if got, ok := h.Cookie(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
