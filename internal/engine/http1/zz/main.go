package main

import (
	"log/slog"
	"net"
	"os"
	"time"

	"net/http"
	_ "net/http/pprof"
	"yett/internal/config"
	"yett/internal/engine/http1"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

type core struct{ s *upstream.Service }

func (c core) Serve(x *exchange.Exchange) {
	if x.Reason == nil {
		x.Out.Path = x.RawPath
		x.Request.StripHopByHop()
		if r := c.s.Forward(x); r != nil {
			x.Refuse(r)
		}
	}
	if x.Reason != nil {
		x.Response.Reset()
		x.ResponseBody.SetBytes([]byte(x.Reason.Name + " " + x.Detail))
	}
}
func (core) Done(*exchange.Exchange) {}

func main() {
	var buffers wire.Buffers
	sw := sweep.New()
	var sc config.Service
	d := config.Duration(5 * time.Second)
	lot, _ := http1.NewLot(slog.Default())
	sc.Targets = []string{os.Args[2]}
	sc.Timeouts = config.ServiceTimeouts{Connect: d, Response: d, Idle: d, Queue: d}
	sc.Connections = config.Connections{Idle: 100, IdleTimeout: d}
	sc.Limits = config.ServiceLimits{Header: 64 << 10, HeaderCount: 100}
	s, err := upstream.New("s", sc, upstream.Deps{Buffers: &buffers, Sweeper: sw, Resolver: net.DefaultResolver})
	if err != nil {
		panic(err)
	}
	s.Start()
	var l config.Listener
	l.Limits = config.ListenerLimits{RequestLine: 8192, Header: 32 << 10, HeaderCount: 100, ChunkLine: 1024, Trailer: 8192}
	l.Timeouts = config.ListenerTimeouts{Header: d, Idle: 75000000000, BodyIdle: d, Write: d, TunnelIdle: d}
	e := http1.New(l, http1.Deps{Core: core{s}, Buffers: &buffers, Exchanges: &exchange.Pool{}, Sweeper: sw, Log: slog.Default(), Lot: lot})
	go http.ListenAndServe("127.0.0.1:6070", nil)
	ln, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go e.ServeConn(c, false)
	}
}
