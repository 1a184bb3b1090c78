package wire

import (
	"strings"
	"testing"
)

// benchRequest is what the bench tool sends: eight fields, of the size that a
// browser application's API calls have.
var benchRequest = "GET /b/200 HTTP/1.1\r\n" +
	"Host: bench.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: application/json, text/plain, */*\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\n" +
	"Authorization: Bearer " + strings.Repeat("eyJhbGciOi", 30)[:293] + "\r\n" +
	"X-Custom: a value that means nothing\r\n" +
	"Referer: https://app.example.com/orders\r\n\r\n"

// benchResponse is what the bench tool's origin answers.
var benchResponse = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: application/json\r\n" +
	"Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
	"Server: origin\r\n" +
	"ETag: \"5f3a-c8\"\r\n" +
	"Content-Length: 200\r\n\r\n" + strings.Repeat("x", 200)

// varied returns a message in many forms: the processor learns the branches of
// one that comes again and again, which real traffic does not allow. Fields
// change their order and values their length.
func varied(message string) []string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	first, fields := lines[0], lines[1:]
	out := make([]string, 256)
	for i := range out {
		var b strings.Builder
		b.WriteString(first + "\r\n")
		for j := range fields {
			f := fields[(i*(i+3)+j)%len(fields)]
			if !strings.HasPrefix(f, "Content-Length") && !strings.HasPrefix(f, "Host") {
				f += strings.Repeat("-", (i*i+7*j)%29)
			}
			b.WriteString(f + "\r\n")
		}
		out[i] = b.String() + "\r\n" + body
	}
	return out
}

// eachForm runs a benchmark with one message, and with many.
func eachForm(b *testing.B, message string, op func(in string)) {
	run := func(name string, list []string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				op(list[i%len(list)])
			}
		})
	}
	run("same", []string{message})
	run("varied", varied(message))
}

func BenchmarkReadRequest(b *testing.B) {
	r := newRoundTripper()
	eachForm(b, benchRequest, func(in string) {
		r.src.Reset(in)
		head, err := r.d.ReadHead(r.lim)
		if err != nil {
			b.Fatal(err)
		}
		r.x.Request.Reset()
		if _, reason := ParseRequest(head, r.x, r.lim); reason != nil {
			b.Fatal(reason)
		}
		r.d.Recycle()
	})
}

func BenchmarkReadResponse(b *testing.B) {
	r := newRoundTripper()
	eachForm(b, benchResponse, func(in string) {
		r.src.Reset(in)
		head, err := r.d.ReadHead(r.lim)
		if err != nil {
			b.Fatal(err)
		}
		r.x.Response.Reset()
		if _, detail, ok := ParseResponse(head, "GET", &r.x.Response, r.lim); !ok {
			b.Fatal(detail)
		}
		r.d.Discard()
	})
}

func BenchmarkAppendRequest(b *testing.B) {
	p := parseFrom(strings.NewReader(benchRequest), testLimits())
	p.x.Request.StripHopByHop()
	out := make([]byte, 0, SmallBuffer)
	b.ReportAllocs()
	for b.Loop() {
		out = AppendRequest(out[:0], p.x, "127.0.0.1:3003", p.x.RawPath, p.m)
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	r := newRoundTripper()
	h, detail, ok := ParseResponse([]byte(benchResponse), "GET", &r.x.Response, r.lim)
	if !ok {
		b.Fatal(detail)
	}
	r.x.Response.StripHopByHop()
	r.x.Status = h.Status
	b.ReportAllocs()
	for b.Loop() {
		r.out = AppendResponse(r.out[:0], r.x, h.Message, Persist, "", false)
	}
}

func BenchmarkChunkedBody(b *testing.B) {
	const piece = "1000\r\n"
	stream := chunkedHead + strings.Repeat(piece+strings.Repeat("x", 0x1000)+"\r\n", 64) + "0\r\n\r\n"
	r := newRoundTripper()
	buf := make([]byte, LargeBuffer)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r.src.Reset(stream)
		head, err := r.d.ReadHead(r.lim)
		if err != nil {
			b.Fatal(err)
		}
		r.x.Request.Reset()
		m, _ := ParseRequest(head, r.x, r.lim)
		r.body.Init(&r.d, m, &r.x.RequestTrailer, r.lim)
		for !r.body.Done() {
			if _, err := r.body.Read(buf); err != nil && !r.body.Done() {
				b.Fatal(err)
			}
		}
		r.d.Recycle()
	}
}
