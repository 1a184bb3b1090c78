//go:build poison

package wire

import (
	"strings"
	"testing"

	"yett/internal/exchange"
)

// TestRecyclePoisonsViews checks that views which outlive their message show,
// and that those of a detached one live until the exchange ends.
func TestRecyclePoisonsViews(t *testing.T) {
	const in = "GET /path HTTP/1.1\r\nHost: h\r\nA: value\r\n\r\n"
	p := parseFrom(strings.NewReader(in), testLimits())
	value := p.x.Request.Get("A")
	p.d.Recycle()
	if value == "value" || p.x.RawPath == "/path" {
		t.Errorf("after Recycle the views are still %q and %q", value, p.x.RawPath)
	}

	p = parseFrom(strings.NewReader(in), testLimits())
	value = p.x.Request.Get("A")
	p.d.Detach(p.x)
	if value != "value" {
		t.Errorf("after Detach the view is %q", value)
	}
	var pool exchange.Pool
	pool.Put(p.x)
	if value == "value" {
		t.Error("after Put the view is still there")
	}
}
