package ui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"yett/internal/exchange"
)

// get asks the stage without following, decoding or asking for more than it is told.
func get(t *testing.T, method, address string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Add(pair[0], pair[1])
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

var assetAddress = regexp.MustCompile(`(?:src|href)="(\./api-docs/[^"]+)"`)

// assetsOf returns the files that the page names, as addresses.
func assetsOf(t *testing.T, s *stage) []string {
	t.Helper()
	_, page := get(t, "GET", s.url+"/api-docs")
	var all []string
	for _, m := range assetAddress.FindAllStringSubmatch(string(page), -1) {
		all = append(all, s.url+strings.TrimPrefix(m[1], "."))
	}
	if len(all) != len(s.ui.assets) {
		t.Fatalf("the page names %q", all)
	}
	return all
}

func unzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestAssets(t *testing.T) {
	s := setStage(t)
	for _, address := range assetsOf(t, s) {
		plainAnswer, plain := get(t, "GET", address)
		zippedAnswer, zipped := get(t, "GET", address, "Accept-Encoding", "br, gzip;q=0.5")
		picture := strings.Contains(address, "favicon.png")
		if plainAnswer.Header.Get("Content-Encoding") != "" || !picture && zippedAnswer.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: the codings are %q", address, zippedAnswer.Header["Content-Encoding"])
		}
		if picture && !bytes.Equal(plain, zipped) || !picture && !bytes.Equal(plain, unzipped(t, zipped)) {
			t.Errorf("%s: two codings have two contents", address)
		}
		for _, a := range []*http.Response{plainAnswer, zippedAnswer} {
			if a.StatusCode != 200 || a.Header.Get("Cache-Control") != forEver || a.Header.Get("X-Content-Type-Options") != "nosniff" || (a.Header.Get("Vary") == "") != picture {
				t.Errorf("%s: %d, %v", address, a.StatusCode, a.Header)
			}
		}
		if (plainAnswer.Header.Get("ETag") == zippedAnswer.Header.Get("ETag")) != picture {
			t.Errorf("%s: both codings have the tag %s", address, plainAnswer.Header.Get("ETag"))
		}
		checkAgain(t, address, zippedAnswer, len(zipped))
	}
}

// checkAgain asks for a file that the client has, for its head, and under an address that
// may stand for another content later.
func checkAgain(t *testing.T, address string, first *http.Response, size int) {
	t.Helper()
	etag := first.Header.Get("ETag")
	again, body := get(t, "GET", address, "Accept-Encoding", "gzip", "If-None-Match", `"other", W/`+etag)
	if again.StatusCode != 304 || len(body) > 0 || again.Header.Get("ETag") != etag || again.Header.Get("Cache-Control") != forEver || again.Header.Get("Vary") != first.Header.Get("Vary") {
		t.Errorf("%s again: %d with %d bytes, %v", address, again.StatusCode, len(body), again.Header)
	}
	head, body := get(t, "HEAD", address, "Accept-Encoding", "gzip")
	if head.StatusCode != 200 || len(body) > 0 || head.Header.Get("Content-Length") != strconv.Itoa(size) || head.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
		t.Errorf("%s, its head: %d with %d bytes, %v", address, head.StatusCode, len(body), head.Header)
	}
	bare, _, _ := strings.Cut(address, "?")
	for _, other := range []string{bare, bare + "?v=0", address + "&a"} {
		if a, _ := get(t, "GET", other); a.StatusCode != 200 || a.Header.Get("Cache-Control") != lookAgain {
			t.Errorf("%s: %d, %v", other, a.StatusCode, a.Header)
		}
	}
}

// Many clients get the same bytes, which stay as they are whatever becomes of exchanges.
func TestAssetsStayWhole(t *testing.T) {
	s := setStage(t)
	addresses := assetsOf(t, s)
	var first [][]byte
	for _, a := range addresses {
		_, content := get(t, "GET", a, "Accept-Encoding", "gzip")
		first = append(first, content)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				for i, a := range addresses {
					if _, content := get(t, "GET", a, "Accept-Encoding", "gzip"); !bytes.Equal(content, first[i]) {
						t.Errorf("%s has changed", a)
					}
					get(t, "GET", a)
				}
			}
		})
	}
	wg.Wait()
}

func TestPage(t *testing.T) {
	s := setStage(t)
	answer, page := get(t, "GET", s.url+"/api-docs")
	if got := answer.Header["Content-Security-Policy"]; len(got) != 1 || got[0] != Policy {
		t.Errorf("the page's policies are %q", got)
	}
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" || answer.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
	for _, no := range []string{"<style", "style=", " on", "//", `="/`} {
		if bytes.Contains(page, []byte(no)) {
			t.Errorf("the page has %q", no)
		}
	}
	if n := bytes.Count(page, []byte("<script")); n != bytes.Count(page, []byte("<script src=")) || n != 2 {
		t.Errorf("the page has %d scripts", n)
	}
	if again, body := get(t, "GET", s.url+"/api-docs", "If-None-Match", answer.Header.Get("ETag")); again.StatusCode != 304 || len(body) > 0 || again.Header.Get("Content-Security-Policy") != Policy {
		t.Errorf("again: %d, %v", again.StatusCode, again.Header)
	}
	if head, _ := get(t, "HEAD", s.url+"/api-docs"); head.StatusCode != 200 || head.Header.Get("Content-Length") != strconv.Itoa(len(page)) {
		t.Errorf("the head: %d, %v", head.StatusCode, head.Header)
	}
	for _, path := range []string{"/api-docs", "/api-docs/start.js"} {
		if post, _ := get(t, "POST", s.url+path); post.StatusCode != 405 || post.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, %v", path, post.StatusCode, post.Header)
		}
	}
	if other, _ := get(t, "GET", s.url+"/api-docs/swagger-ui.css.gz"); other.StatusCode != 404 {
		t.Errorf("a file that the page does not need: %d", other.StatusCode)
	}
}

func TestTitleIsText(t *testing.T) {
	u, err := New(Options{Title: `</title><script>"`})
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange.Exchange{Method: "GET", Path: `/"><script>`}
	u.Page(x, `d"><script>`)
	page, _ := x.ResponseBody.Whole()
	if bytes.Count(page, []byte("<script")) != 2 {
		t.Errorf("the page is\n%s", page)
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ path, docs, below, root string }{
		{"/api-docs", "./api-docs", "./api-docs/", "./"},
		{"/api-docs/", "../api-docs", "./", "../"},
		{"/a/b/docs", "./api-docs", "./docs/", "../../"},
		{"/a/b/docs/", "../api-docs", "./", "../../../"},
		{"/a:b", "./api-docs", "./a:b/", "./"},
		{"/", "./api-docs", "./", "./"},
	} {
		if v := new(UI).viewAt(tt.path, "api-docs"); v.Docs != tt.docs || v.below != tt.below || v.Root != tt.root {
			t.Errorf("%s: %q, %q, %q", tt.path, v.Docs, v.below, v.Root)
		}
	}
}

func TestTakesGzip(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   bool
	}{
		{nil, false}, {[]string{""}, false}, {[]string{"identity"}, false}, {[]string{"br"}, false},
		{[]string{"gzip"}, true}, {[]string{"GZip ; Q=0.1"}, true}, {[]string{"br", "x-gzip"}, true}, {[]string{"br,gzip;q=1.0"}, true},
		{[]string{"gzip;q=0"}, false}, {[]string{"gzip;q=0.000, *"}, false}, {[]string{"*"}, true}, {[]string{"*;q=0"}, false},
		{[]string{"*;q=0, gzip"}, true}, {[]string{"gzip;q=x"}, false}, {[]string{"gzip;q=NaN"}, false}, {[]string{"gzip;v=1"}, false}, {[]string{"gzipped"}, false},
	} {
		var h exchange.Header
		for _, f := range tt.fields {
			h.Add("accept-encoding", f)
		}
		if takesGzip(&h) != tt.want {
			t.Errorf("%q: %v", tt.fields, !tt.want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   bool
	}{
		{nil, false}, {[]string{`"a"`}, true}, {[]string{`W/"a"`}, true}, {[]string{`"b", "a"`}, true}, {[]string{`"b"`, `"a"`}, true},
		{[]string{"*"}, true}, {[]string{`a`}, false}, {[]string{`"a-gzip"`}, false}, {[]string{""}, false},
	} {
		var h exchange.Header
		for _, f := range tt.fields {
			h.Add("If-None-Match", f)
		}
		if matches(&h, `"a"`) != tt.want {
			t.Errorf("%q: %v", tt.fields, !tt.want)
		}
	}
}
