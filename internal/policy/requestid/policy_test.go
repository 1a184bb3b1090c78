package requestid

import (
	"regexp"
	"strings"
	"testing"

	"yett/internal/policy/policytest"
)

func TestPolicy(t *testing.T) { policytest.Run(t, Kind) }

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestInbound(t *testing.T) {
	long := strings.Repeat("x", 128)
	tests := []struct {
		name, config, inbound, want string // want "" is a new one
	}{
		{"none", "", "", ""},
		{"kept", "", "Abc-123_4.5", "Abc-123_4.5"},
		{"shortest", "", "12345678", "12345678"},
		{"too short", "", "1234567", ""},
		{"longest", "", long, long},
		{"too long", "", long + "x", ""},
		{"markup", "", "<script>alert(1)</script>", ""},
		{"blank inside", "", "1234 5678", ""},
		{"not ASCII", "", "12345678é", ""},
		{"not trusted", "trust_inbound: false", "12345678", ""},
		{"other header is not looked at", "header: X-Trace", "12345678", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policytest.Build(t, Kind, tt.config)
			c := policytest.NewCall(t, "GET / HTTP/1.1\nX-Request-ID: "+tt.inbound+"\n", "")
			x := c.Start()
			c.Pass(p, x)
			if tt.want != "" && x.RequestID != tt.want || tt.want == "" && !uuid.MatchString(x.RequestID) {
				t.Errorf("ID is %q", x.RequestID)
			}
		})
	}
}

func TestStrangersChooseNothing(t *testing.T) {
	p := policytest.Build(t, Kind, "header: X-Trace")
	c := policytest.NewCall(t, "GET / HTTP/1.1\nX-Trace: chosen-by-me\n", "")
	x := c.Start()
	x.PeerTrusted = false
	c.Pass(p, x)
	if !uuid.MatchString(x.RequestID) {
		t.Errorf("ID is %q", x.RequestID)
	}
}

func TestBothSidesReadIt(t *testing.T) {
	for _, header := range []string{"X-Request-ID", "X-Trace"} {
		p := policytest.Build(t, Kind, "header: "+header)
		c := policytest.NewCall(t, "GET / HTTP/1.1\nA: b\n"+header+": <1>\n"+header+": <2>\n",
			"HTTP/1.1 200 OK\n"+header+": of-the-service\n"+header+": twice\n")
		x := c.Start()
		c.Pass(p, x)
		if got := x.Request.Get(header); got != x.RequestID || x.Request.Len() != 2 {
			t.Errorf("the service reads %v, want %q once", x.Request.Fields(), x.RequestID)
		}
		if got := x.Response.Get(header); got != x.RequestID || x.Response.Len() != 1 {
			t.Errorf("the caller reads %v, want %q once", x.Response.Fields(), x.RequestID)
		}
	}
}

// What the log has called the request so far goes on being its name.
func TestEarlierIDStays(t *testing.T) {
	p := policytest.Build(t, Kind, "")
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	x := c.Start()
	x.RequestID = "given-by-the-gateway"
	c.Pass(p, x)
	if x.RequestID != "given-by-the-gateway" {
		t.Errorf("ID is %q", x.RequestID)
	}
}

func TestBadConfig(t *testing.T) {
	for config, want := range map[string]string{
		`header: ""`:             "header",
		`header: "X Y"`:          "header",
		`header: Content-Length`: "header",
		`trust_inbound: perhaps`: "trust_inbound",
		"header: a b\nhedaer: b": "hedaer",
	} {
		_, problems := policytest.TryBuild(t, Kind, config)
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("%q: %v", config, problems)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	p := policytest.Build(t, Kind, "")
	if n := call(t).Allocs(t, p); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func call(tb testing.TB) *policytest.Call {
	return policytest.NewCall(tb, "GET /a HTTP/1.1\nHost: example.org\nAccept: */*\nUser-Agent: test\n",
		"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\nDate: x\n\n{}")
}

// The exchange around the policy costs most of it: see what a call without
// one takes.
func BenchmarkLife(b *testing.B) {
	p, c := policytest.Build(b, Kind, ""), call(b)
	b.ReportAllocs()
	for b.Loop() {
		c.Run(p)
	}
}
