package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"yett/internal/exchange"
)

// asset is a file that the page needs. Its bytes are given out as they are, many times
// over, and nobody changes them.
type asset struct {
	contentType string
	// zipped is made when the first client asks that takes gzip, nil for what can't get smaller.
	zipped func() []byte
	// plain is made when the first client asks that takes no gzip.
	plain    func() ([]byte, error)
	etag     string // of plain
	etagGzip string
	version  string // the query of an address that stands for this content only
}

// How long an address without a version, and one with it, may be kept.
const (
	lookAgain = "no-cache"
	forEver   = "public, max-age=31536000, immutable"
)

// newAsset makes an asset of a file, which is gzip already or a picture or becomes it.
func newAsset(content []byte, zipped bool, contentType string) *asset {
	etag := tag(content, "")
	a := &asset{contentType: contentType, etag: etag, etagGzip: tag(content, "-gzip"), version: "v=" + strings.Trim(etag, `"`)}
	switch {
	case zipped:
		a.zipped = func() []byte { return content }
		a.plain = sync.OnceValues(func() ([]byte, error) { return unzip(content) })
	case strings.HasPrefix(contentType, "image/"):
		a.plain = func() ([]byte, error) { return content, nil }
	default:
		a.zipped = sync.OnceValue(func() []byte { return zip(content) })
		a.plain = func() ([]byte, error) { return content, nil }
	}
	return a
}

// serve answers with the file, in the coding that the client takes.
func (a *asset) serve(x *exchange.Exchange) {
	etag := a.etagGzip
	var content []byte
	if a.zipped != nil && takesGzip(&x.Request) {
		content = a.zipped()
	} else {
		plain, err := a.plain()
		if err != nil {
			x.RefuseWith(exchange.Internal, err.Error())
			return
		}
		content, etag = plain, a.etag
	}
	keep := lookAgain
	if x.Query == a.version {
		keep = forEver
	}
	x.Response.Add("Content-Type", a.contentType)
	x.Response.Add("Cache-Control", keep)
	x.Response.Add("ETag", etag)
	if a.zipped != nil {
		x.Response.Add("Vary", "Accept-Encoding")
	}
	if etag == a.etagGzip {
		x.Response.Add("Content-Encoding", "gzip")
	}
	answer(x, etag, content)
}

// answer sets the content, or tells the client that it has it already. The engine leaves
// the content out for HEAD.
func answer(x *exchange.Exchange, etag string, content []byte) {
	if matches(&x.Request, etag) {
		x.Status = http.StatusNotModified
		x.Response.Del("Content-Type")
		x.Response.Del("Content-Encoding")
		return
	}
	x.Status = http.StatusOK
	x.ResponseBody.SetBytes(content)
}

// tag makes a strong ETag of content. coding tells the same content apart in two codings.
func tag(content []byte, coding string) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:12]) + coding + `"`
}

// matches tells whether one of the If-None-Match fields names the tag (RFC 9110 section
// 13.1.2). What caches have made weak of it means the same.
func matches(h *exchange.Header, etag string) bool {
	found := false
	eachItem(h, "If-None-Match", func(item string) {
		found = found || item == "*" || strings.TrimPrefix(item, "W/") == etag
	})
	return found
}

// takesGzip tells whether a client takes content in gzip (RFC 9110 section 12.5.3). What
// it says of gzip counts for more than what it says of all codings.
func takesGzip(h *exchange.Header) bool {
	gzip, any := -1.0, -1.0
	eachItem(h, "Accept-Encoding", func(item string) {
		coding, params, _ := strings.Cut(item, ";")
		switch coding = strings.TrimSpace(coding); {
		case exchange.EqualFold(coding, "gzip"), exchange.EqualFold(coding, "x-gzip"):
			gzip = quality(params)
		case coding == "*":
			any = quality(params)
		}
	})
	if gzip >= 0 {
		return gzip > 0
	}
	return any > 0
}

// quality reads the weight of a coding, which is 1 where there is none and 0 where it is
// no number.
func quality(params string) float64 {
	params = strings.TrimSpace(params)
	if params == "" {
		return 1
	}
	name, value, _ := strings.Cut(params, "=")
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !exchange.EqualFold(strings.TrimSpace(name), "q") || !(q >= 0) {
		return 0
	}
	return q
}

// eachItem calls f for each item of a list field, in as many lines as it has come.
func eachItem(h *exchange.Header, name string, f func(item string)) {
	for _, field := range h.Fields() {
		if !exchange.EqualFold(field.Name, name) {
			continue
		}
		for item := range strings.SplitSeq(field.Value, ",") {
			f(strings.TrimSpace(item))
		}
	}
}

func zip(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return nil
	}
	if err := w.Close(); err != nil {
		return nil
	}
	return b.Bytes()
}

func unzip(content []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("asset of Swagger UI: %w", err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("asset of Swagger UI: %w", err)
	}
	return plain, nil
}
