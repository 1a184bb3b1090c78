package main

import (
	"bytes"
	"fmt"
	"strings"
)

// conf is what a case adds to a subject's configuration template.
type conf struct {
	Top   string // nginx: in http; HAProxy: in global; Yett: at the top level
	Route string // nginx: in location; HAProxy: in frontend; Yett: in the route
}

// request is what the load generator sends. A case with its own Authorization
// or further header fields states them.
type request struct {
	Method        string
	Path          string
	Authorization string   // a 300-byte token when empty
	Header        []string // further "Name: value" lines
	Body          int      // bytes
}

// benchCase is one kind of traffic and how each subject is configured for it.
type benchCase struct {
	Name    string
	Request request
	Want    int64           // body bytes of a right answer
	Conf    map[string]conf // by subject; one that is not named sits the case out
	Targets []target
}

// target is the most that Yett may cost, as a multiple of another subject.
type target struct {
	Against string
	AtMost  float64
}

const (
	caseIdle = "idle"
	// idleTarget is the most memory that an idle connection may cost Yett.
	idleTarget = 4 << 10
)

// cases lists what is measured, in the order of the report. A case that
// measures policies differs from these in its configuration alone.
func cases() []benchCase {
	bare := map[string]conf{
		"yett":    {Top: "log: {access: {output: off}}", Route: "auth: none"},
		"nginx":   {Top: "access_log off;"},
		"haproxy": {},
	}
	logged := map[string]conf{
		"yett": {Top: "log: {access: {output: access.log}}", Route: "auth: none"},
		// nginx is given its cheapest way to write a log file.
		"nginx": {Top: "access_log access.log combined buffer=64k flush=1s;"},
		// HAProxy logs to a socket or a descriptor; the harness makes standard output a file.
		"haproxy": {Top: "log stdout format raw daemon", Route: "log global\noption httplog"},
	}
	faster := []target{{"nginx", 1}, {"haproxy", 1}}
	return []benchCase{
		{Name: "plain", Request: request{Method: "GET", Path: "/b/200"}, Want: 200, Conf: bare, Targets: faster},
		{Name: "plain-logged", Request: request{Method: "GET", Path: "/b/200"}, Want: 200, Conf: logged, Targets: faster},
		{Name: "64k", Request: request{Method: "GET", Path: "/b/65536"}, Want: 64 << 10, Conf: bare, Targets: faster},
		{Name: "1m", Request: request{Method: "GET", Path: "/b/1048576"}, Want: 1 << 20, Conf: bare, Targets: faster},
		{Name: "post-64k", Request: request{Method: "POST", Path: "/sink", Body: 64 << 10}, Want: 2, Conf: bare, Targets: faster},
	}
}

// bytes returns the request as it goes over the wire: eight header fields, of
// the size that a browser application's API calls have.
func (r request) bytes() []byte {
	authorization := r.Authorization
	if authorization == "" {
		authorization = "Bearer " + strings.Repeat("eyJhbGciOi", 30)[:300-len("Bearer ")]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
	b.WriteString("Host: bench.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: application/json, text/plain, */*\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\n" +
		"Authorization: " + authorization + "\r\n" +
		"X-Custom: a value that means nothing\r\n" +
		"Referer: https://app.example.com/orders\r\n")
	for _, line := range r.Header {
		b.WriteString(line + "\r\n")
	}
	if r.Body > 0 {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", r.Body)
	}
	b.WriteString("\r\n")
	b.WriteString(strings.Repeat("u", r.Body))
	return b.Bytes()
}
