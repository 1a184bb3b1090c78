package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// newReverseProxy is the standard library's, with enough idle connections kept
// and its buffers used again. By default it would keep two, and make a buffer of
// 32 KB for each answer.
func newReverseProxy(o options) *http.Server {
	upstream := &url.URL{Scheme: "http", Host: o.upstream}
	return &http.Server{
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       300 * time.Second,
		Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(upstream)
				r.Out.Host = r.In.Host
			},
			Transport: &http.Transport{
				MaxIdleConnsPerHost: o.conns,
				IdleConnTimeout:     300 * time.Second,
				DisableCompression:  true,
			},
			BufferPool: &buffers{},
		},
	}
}

// buffers is a pool of 32 KB buffers.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return new([32 << 10]byte)[:]
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
