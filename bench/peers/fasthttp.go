package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// hopByHop are the fields that belong to one connection (RFC 9110 section
// 7.6.1). fasthttp writes Transfer-Encoding by itself.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"TE", "Trailer", "Transfer-Encoding", "Upgrade",
}

// fastProxy forwards with fasthttp's client. Bodies are read whole before they
// are sent on, which is how it is used, and the cheapest that it can do.
type fastProxy struct{ client *fasthttp.HostClient }

func newFastProxy(o options) *fasthttp.Server {
	p := &fastProxy{client: &fasthttp.HostClient{
		Addr:                     o.upstream,
		MaxConns:                 o.conns,
		MaxIdleConnDuration:      300 * time.Second,
		ReadBufferSize:           16 << 10,
		NoDefaultUserAgentHeader: true,
		DisablePathNormalizing:   true,
	}}
	return &fasthttp.Server{
		Handler:        p.serve,
		IdleTimeout:    300 * time.Second,
		ReadBufferSize: 16 << 10, // heads are that long at most
		// The service's fields go through as they are.
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
	}
}

func (p *fastProxy) serve(ctx *fasthttp.RequestCtx) {
	request, answer := &ctx.Request, &ctx.Response
	dropHopByHop(request.Header.Peek("Connection"), request.Header.Del)
	request.UseHostHeader = true
	if ctx.IsTLS() {
		request.URI().SetScheme("http") // the service has none
	}
	if err := p.client.Do(request, answer); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		answer.Reset()
		ctx.Error("Bad Gateway", fasthttp.StatusBadGateway)
		return
	}
	dropHopByHop(answer.Header.Peek("Connection"), answer.Header.Del)
}

// dropHopByHop deletes the fields of one connection, and those that Connection
// names.
func dropHopByHop(connection []byte, del func(name string)) {
	if len(connection) > 0 {
		for name := range strings.SplitSeq(string(connection), ",") {
			del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		del(name)
	}
}
