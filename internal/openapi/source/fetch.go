package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream"
)

const (
	// accept is what a document may come as.
	accept = "application/vnd.oai.openapi+json, application/json, application/vnd.oai.openapi;q=0.9, application/yaml;q=0.9, */*;q=0.1"
	agent  = "yett-openapi"
	// mostHeader is how many bytes the head of an answer may have.
	mostHeader = 32 << 10
	// mostLine is how long the words of a failure may be, in bytes.
	mostLine = 500
)

// stamp is by what the place of a document tells that it has not changed.
type stamp struct {
	etag, modified string
	file           fileStamp
}

// answer is what came of asking for a document.
type answer struct {
	stamp stamp
	same  bool   // as what was seen last; data is nil
	data  []byte // as it is without any encoding
}

// ask asks for the document, which takes no longer than the configuration allows.
func (s *Source) ask(ctx context.Context) (answer, error) {
	if s.kind == KindFile {
		return s.readFile()
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.conf.Timeout))
	defer cancel()
	if s.kind == KindURL {
		r, err := s.askURL(ctx)
		if err != nil {
			return answer{}, err
		}
		return s.judge(r)
	}
	r, err := s.askService(ctx)
	if err != nil {
		return answer{}, err
	}
	return s.judge(r)
}

// fields are those of a request.
func (s *Source) fields() [][2]string {
	fields := [][2]string{{"Accept", accept}, {"Accept-Encoding", "gzip"}, {"User-Agent", agent}}
	if etag := s.seen.stamp.etag; etag != "" {
		fields = append(fields, [2]string{"If-None-Match", etag})
	}
	if modified := s.seen.stamp.modified; modified != "" {
		fields = append(fields, [2]string{"If-Modified-Since", modified})
	}
	return fields
}

// reply is an answer of a server, with the content of one that has status 200.
type reply struct {
	status int
	field  func(name string) string
	body   []byte
}

// askService asks the service itself.
func (s *Source) askService(ctx context.Context) (reply, error) {
	get := s.deps.Load().Get
	if get == nil {
		return reply{}, &failure{text: "the service can't be asked here"}
	}
	ask := upstream.Ask{Path: s.conf.Path, Most: int64(s.conf.MaxSize)}
	for _, f := range s.fields() {
		ask.Fields = append(ask.Fields, exchange.Field{Name: f[0], Value: f[1], Key: exchange.KeyOf(f[0])})
	}
	page, err := get(ctx, ask)
	if err != nil {
		return reply{}, err
	}
	return reply{status: page.Status, field: page.Header.Get, body: page.Body}, nil
}

// newTransport is a client that follows no redirect and keeps no connection and no cookie.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = mostHeader
	t.DisableKeepAlives, t.DisableCompression = true, true // the next time is far away; the size is bounded after decoding
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

// askURL asks the server of a URL.
func (s *Source) askURL(ctx context.Context) (reply, error) {
	req := (&http.Request{Method: http.MethodGet, URL: s.url, Header: make(http.Header)}).WithContext(ctx)
	for _, f := range s.fields() {
		req.Header.Set(f[0], f[1])
	}
	if s.user != nil {
		password, _ := s.user.Password()
		req.SetBasicAuth(s.user.Username(), password)
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return reply{}, s.unanswered(err, "no answer within")
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, field: resp.Header.Get}
	if r.status != http.StatusOK {
		return r, nil
	}
	most := int64(s.conf.MaxSize)
	if resp.ContentLength > most {
		return reply{}, &failure{text: fmt.Sprintf("the answer has %d bytes, more than %s", resp.ContentLength, config.Size(most))}
	}
	if r.body, err = io.ReadAll(io.LimitReader(resp.Body, most+1)); err != nil {
		return reply{}, s.unanswered(err, "the answer did not end within")
	}
	return r, nil
}

// unanswered says why there is no answer.
func (s *Source) unanswered(err error, late string) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return &failure{text: fmt.Sprintf("%s %s", late, s.conf.Timeout)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{text: "the answer broke off"}
	case errors.Is(err, io.EOF):
		return &failure{text: "the connection ended before the answer"}
	}
	return &failure{text: line(err.Error())}
}

// judge makes of a server's answer what was asked for.
func (s *Source) judge(r reply) (answer, error) {
	last := s.seen.stamp
	switch {
	case r.status == http.StatusNotModified && (last.etag != "" || last.modified != ""):
		return answer{stamp: last, same: true}, nil
	case r.status != http.StatusOK:
		return answer{}, &failure{text: s.refusal(r)}
	}
	data, err := decode(r.body, r.field("Content-Encoding"), int64(s.conf.MaxSize))
	if err != nil {
		return answer{}, err
	}
	return answer{data: data, stamp: stamp{etag: validator(r.field("ETag")), modified: validator(r.field("Last-Modified"))}}, nil
}

// validator is the value of a field as it is sent back, "" for one that can't be.
func validator(value string) string {
	if len(value) > 1<<10 || !exchange.ValidValue(value) {
		return ""
	}
	return value
}

// refusal says what an answer means that is no document.
func (s *Source) refusal(r reply) string {
	text := strings.TrimSpace(fmt.Sprintf("the answer is %d %s", r.status, http.StatusText(r.status)))
	switch {
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return text + "; let the gateway read the document without logging in"
	case r.status < 300 || r.status > 399 || r.status == http.StatusNotModified:
		return text
	}
	if to, err := url.Parse(r.field("Location")); err == nil && r.field("Location") != "" {
		if s.url != nil {
			to = s.url.ResolveReference(to)
		}
		text += " to " + line(shown(to))
	}
	return text + ", and redirects are not followed; name the address of the document itself"
}

// decode undoes the encoding of an answer's content, which may have as many bytes after
// that.
func decode(data []byte, encoding string, most int64) ([]byte, error) {
	tooLarge := &failure{text: fmt.Sprintf("the document has more than %s", config.Size(most))}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, &failure{text: "the answer says that it is gzip, and is not"}
		}
		if data, err = io.ReadAll(io.LimitReader(z, most+1)); err != nil {
			return nil, &failure{text: "the answer's gzip is damaged"}
		}
	default:
		return nil, &failure{text: fmt.Sprintf("the answer has the encoding %s; gzip is understood, or none", line(encoding))}
	}
	if int64(len(data)) > most {
		return nil, tooLarge
	}
	return data, nil
}

// markup tells what else than a document somebody has sent, "" when it can be one.
func markup(data []byte) string {
	start := bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 1<<10)], []byte("\uFEFF")), " \t\r\n")
	lower := strings.ToLower(string(start))
	switch {
	case strings.HasPrefix(lower, "<?xml") && !strings.Contains(lower, "<html"):
		return "XML"
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"), strings.HasPrefix(lower, "<!--"), strings.Contains(lower, "<html") && strings.HasPrefix(lower, "<"):
		return "an HTML page"
	}
	return ""
}

// line is a text from elsewhere as one line of bounded length.
func line(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > mostLine {
		text = strings.ToValidUTF8(text[:mostLine], "") + "…"
	}
	return text
}
