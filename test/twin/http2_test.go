package twin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request is a request of a script taken apart. Nothing is checked: scripts
// hold odd ones.
type request struct {
	method, target string
	fields         []hpack.HeaderField // in lower case
	body           []byte
	trailers       []hpack.HeaderField
}

// ofHTTP1 tells whether a request can't be asked in HTTP/2: it wants to switch
// the protocol.
func ofHTTP1(raw []byte) bool {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return bytes.Contains(bytes.ToLower(head), []byte("\r\nupgrade:"))
}

func takeApart(t *testing.T, raw []byte) request {
	t.Helper()
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	parts := strings.Split(lines[0], " ")
	if len(parts) < 3 {
		t.Fatalf("%q is no request line", lines[0])
	}
	r := request{method: parts[0], target: strings.Join(parts[1:len(parts)-1], " "), body: []byte(body)}
	r.fields = fieldsOf(t, lines[1:])
	if value(r.fields, "transfer-encoding") != "" {
		r.readChunks(t, body)
	}
	return r
}

func fieldsOf(t *testing.T, lines []string) []hpack.HeaderField {
	t.Helper()
	var fields []hpack.HeaderField
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("%q is no header field", line)
		}
		fields = append(fields, hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimSpace(value)})
	}
	return fields
}

// value returns the values of a field as one list.
func value(fields []hpack.HeaderField, name string) string {
	var values []string
	for _, f := range fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ",")
}

// readChunks takes a chunked body apart.
func (r *request) readChunks(t *testing.T, body string) {
	t.Helper()
	head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: " + value(r.fields, "trailer") + "\r\n\r\n"
	parsed, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + body)))
	if err != nil {
		t.Fatal(err)
	}
	if r.body, err = io.ReadAll(parsed.Body); err != nil {
		t.Fatalf("the chunked body %q: %v", body, err)
	}
	for name, values := range parsed.Trailer {
		for _, v := range values {
			r.trailers = append(r.trailers, hpack.HeaderField{Name: strings.ToLower(name), Value: v})
		}
	}
}

// header returns the fields as HTTP/2 has them: host and request line as
// pseudo fields, and nothing that concerns one connection (RFC 9113 section
// 8.2.2).
func (r *request) header() []hpack.HeaderField {
	authority, path := value(r.fields, "host"), r.target
	if rest, ok := strings.CutPrefix(path, "http://"); ok { // absolute form
		i := strings.IndexByte(rest+"/", '/')
		authority, path = rest[:i], rest[i:]
	}
	header := []hpack.HeaderField{
		{Name: ":method", Value: r.method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
	}
	if authority != "" {
		header = append(header, hpack.HeaderField{Name: ":authority", Value: authority})
	}
	named := strings.Split(strings.ToLower(strings.ReplaceAll(value(r.fields, "connection"), " ", "")), ",")
	for _, f := range r.fields {
		dropped := ofConnection(f.Name) || f.Name == "host" || f.Name == "te" && f.Value != "trailers"
		for _, name := range named {
			dropped = dropped || f.Name == name
		}
		if !dropped {
			header = append(header, f)
		}
	}
	return header
}

// sendHTTP2 sends what a request means in HTTP/2, frame by frame, because a
// client of the standard library would put odd requests right.
func sendHTTP2(t *testing.T, address string, raw []byte) answer {
	t.Helper()
	if ofHTTP1(raw) {
		return answer{}
	}
	nc := dial(t, address)
	defer nc.Close()
	fr := http2.NewFramer(nc, nc)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r := takeApart(t, raw)
	_, err := io.WriteString(nc, http2.ClientPreface)
	if err = errors.Join(err, fr.WriteSettings(), r.write(fr)); err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(fr)
	if err != nil {
		t.Fatalf("reading the answer to\n%s: %v", raw, err)
	}
	return a
}

// write writes the frames of the request. Those of scripts fit into one each.
func (r *request) write(fr *http2.Framer) error {
	noBody, noTrailers := len(r.body) == 0, len(r.trailers) == 0
	err := writeHeader(fr, r.header(), noBody && noTrailers)
	if err == nil && !noBody {
		err = fr.WriteData(1, noTrailers, r.body)
	}
	if err == nil && !noTrailers {
		err = writeHeader(fr, r.trailers, true)
	}
	return err
}

func writeHeader(fr *http2.Framer, fields []hpack.HeaderField, last bool) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(f); err != nil {
			return err
		}
	}
	return fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: last,
	})
}

// readAnswer reads until the stream ends. Answers to scripts are smaller than
// the window.
func readAnswer(fr *http2.Framer) (answer, error) {
	var a answer
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return a, err
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			ended = f.StreamEnded()
			err = a.take(f)
		case *http2.DataFrame:
			ended = f.StreamEnded()
			a.body = append(a.body, f.Data()...)
		case *http2.RSTStreamFrame:
			return a, errors.New("the stream was reset: " + f.ErrCode.String())
		case *http2.GoAwayFrame:
			return a, errors.New("the connection ends: " + f.ErrCode.String())
		}
		if err != nil || ended {
			return a, err
		}
	}
}

// take takes an interim answer, the answer's header, or its trailer.
func (a *answer) take(f *http2.MetaHeadersFrame) error {
	header := make(http.Header)
	for _, field := range f.RegularFields() {
		header.Add(textproto.CanonicalMIMEHeaderKey(field.Name), field.Value)
	}
	if a.header != nil {
		a.trailer = header
		return nil
	}
	var err error
	a.status, err = strconv.Atoi(f.PseudoValue("status"))
	if a.status >= 200 {
		a.header = header
	}
	return err
}
