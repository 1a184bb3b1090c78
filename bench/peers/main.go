// Command peers is two reverse proxies as a Go programmer would write them, for the benchmark: with the
// standard library, and with fasthttp. They forward, and do nothing else.
//
//	peers reverseproxy -listen 127.0.0.1:8080 -upstream 127.0.0.1:8081
//	peers fasthttp -version
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
)

// options is the command line.
type options struct {
	name      string
	listen    string
	upstream  string // host:port
	conns     int    // that may be open to the upstream
	cert, key string // files in PEM; TLS is spoken when both are there
	version   bool
}

// proxy serves connections of a listener until that fails.
type proxy interface {
	Serve(net.Listener) error
	ServeTLS(l net.Listener, cert, key string) error
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	if len(args) == 0 {
		return o, errors.New("say which one: reverseproxy or fasthttp")
	}
	o.name = args[0]
	f := flag.NewFlagSet("peers "+o.name, flag.ContinueOnError)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "where clients connect")
	f.StringVar(&o.upstream, "upstream", "", "host:port of the server behind")
	f.IntVar(&o.conns, "conns", 1024, "most connections to it")
	f.StringVar(&o.cert, "cert", "", "file of the certificate, to speak TLS")
	f.StringVar(&o.key, "key", "", "file of its key")
	f.BoolVar(&o.version, "version", false, "say what it is made of")
	if err := f.Parse(args[1:]); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.upstream == "" && !o.version:
		return o, errors.New("-upstream is missing")
	case (o.cert == "") != (o.key == ""):
		return o, errors.New("-cert and -key belong together")
	}
	return o, nil
}

func run(o options) error {
	p, err := newProxy(o)
	if err != nil {
		return err
	}
	if o.version {
		fmt.Println(version(o.name))
		return nil
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	if o.cert != "" {
		return p.ServeTLS(l, o.cert, o.key)
	}
	return p.Serve(l)
}

func newProxy(o options) (proxy, error) {
	switch o.name {
	case "reverseproxy":
		return newReverseProxy(o), nil
	case "fasthttp":
		return newFastProxy(o), nil
	}
	return nil, fmt.Errorf("unknown proxy %q: it is reverseproxy or fasthttp", o.name)
}

func version(name string) string {
	if name == "fasthttp" {
		return fmt.Sprintf("fasthttp %s, %s", moduleVersion("github.com/valyala/fasthttp"), runtime.Version())
	}
	return fmt.Sprintf("%s of %s", name, runtime.Version())
}

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
