package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"

	"yett/internal/config"
	"yett/internal/engine/http1"
	"yett/internal/exchange"
	"yett/internal/gateway"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/sweep"
	"yett/internal/telemetry"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func main() {
	var buffers wire.Buffers
	sw := sweep.New()
	c, err := config.Load(os.Args[1], config.OSEnv())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := snapshot.Compile(c, snapshot.Deps{Policy: policy.Deps{Version: "x"}, Upstream: upstream.Deps{Buffers: &buffers, Sweeper: sw, Resolver: net.DefaultResolver}}, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s.Start()
	var rec gateway.Recorder
	if c.Log.Access.Output != "off" {
		rec, _ = telemetry.NewAccessLog(telemetry.ToFile(c.Log.Access.Output), telemetry.Options{Flush: 50e6})
	}
	g := gateway.New(rec, slog.Default())
	g.Swap(s)
	lot, _ := http1.NewLot(slog.Default())
	e := http1.New(s.Listeners[0].Listener, http1.Deps{Core: g, Buffers: &buffers, Exchanges: &exchange.Pool{}, Sweeper: sw, Log: slog.Default(), Lot: lot})
	go http.ListenAndServe("127.0.0.1:6070", nil)
	ln, err := net.Listen("tcp", s.Listeners[0].Address)
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
