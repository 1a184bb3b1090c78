//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bodyBytes yields a number of bytes: a text over and over, whose length is
// prime, so that no block of a usual size is like the one before.
type bodyBytes struct {
	left int64
	text []byte
	at   int // in text
}

func newBody(size int64) *bodyBytes {
	const prime = 65521
	random := rand.NewChaCha8([32]byte{})
	b := &bodyBytes{left: size, text: make([]byte, prime)}
	_, _ = random.Read(b.text) // never fails
	return b
}

func (b *bodyBytes) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), b.left)], b.text[b.at:])
	b.left -= int64(n)
	b.at = (b.at + n) % len(b.text)
	return n, nil
}

// digest reads all, and returns its length and check sum.
func digest(r io.Reader) (string, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return fmt.Sprintf("%d bytes, %08x", n, sum.Sum32()), err
}

// storage answers a POST with the digest of what it got, and a GET with as
// many bytes as asked for.
func storage(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text, err := digest(r.Body)
			if err != nil {
				text = err.Error()
			}
			_, _ = io.WriteString(w, text)
			return
		}
		n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		}
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, newBody(n), make([]byte, 256<<10))
	}))
	t.Cleanup(server.Close)
	return server
}

// memory returns a row of /proc/PID/status in bytes: VmRSS is what a process
// holds now, VmHWM the most that it ever held.
func memory(t *testing.T, g *gateway, row string) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), row+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s", row)
	return 0
}

// However large a body is, the gateway holds little of it. YETT_BIG=1 makes
// the bodies 5 GB.
func TestLargeBodiesTakeNoMemory(t *testing.T) {
	size := int64(256 << 20)
	if os.Getenv("YETT_BIG") == "1" {
		size = 5 << 30
	}
	want, err := digest(newBody(size))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		transfer func(t *testing.T, g *gateway, size int64) string
	}{
		{"upload with a length", func(t *testing.T, g *gateway, size int64) string { return upload(t, g, size, size) }},
		{"upload in chunks", func(t *testing.T, g *gateway, size int64) string { return upload(t, g, size, -1) }},
		{"download with a length", func(t *testing.T, g *gateway, size int64) string { return download(t, g, size, "&length") }},
		{"download in chunks", func(t *testing.T, g *gateway, size int64) string { return download(t, g, size, "") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := run(t, write(t, "yett.yaml", appConfig), "APP="+storage(t).URL)
			test.transfer(t, g, 1<<20) // so that what is made once has been made
			before, begun := memory(t, g, "VmRSS"), time.Now()
			if got := test.transfer(t, g, size); got != want {
				t.Errorf("%s arrived, want %s", got, want)
			}
			grown := memory(t, g, "VmHWM") - before
			t.Logf("%d MB/s, memory grew by %d KB", int64(float64(size>>20)/time.Since(begun).Seconds()), grown>>10)
			if grown > 10<<20 {
				t.Errorf("memory grew by %d KB", grown>>10)
			}
		})
	}
}

func bigClient(t *testing.T) *http.Client {
	client := newClient(t)
	client.Timeout = 10 * time.Minute
	return client
}

func upload(t *testing.T, g *gateway, size, length int64) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.url+"/big", newBody(size))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	resp, err := bigClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(text)
}

func download(t *testing.T, g *gateway, size int64, more string) string {
	t.Helper()
	resp, err := bigClient(t).Get(fmt.Sprintf("%s/big?n=%d%s", g.url, size, more))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := digest(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return text
}
