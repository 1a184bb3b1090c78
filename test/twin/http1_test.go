package twin

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long an answer may take before the test fails.
const patience = 10 * time.Second

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// sendHTTP1 sends the bytes as they are.
func sendHTTP1(t *testing.T, address string, request []byte) answer {
	t.Helper()
	nc := dial(t, address)
	defer nc.Close()
	if _, err := nc.Write(request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := bytes.Cut(request, []byte(" "))
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, &http.Request{Method: string(method)})
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(r, &http.Request{Method: string(method)})
	}
	if err != nil {
		t.Fatalf("reading the answer to\n%s: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body of the answer to\n%s: %v", request, err)
	}
	_, phrase, _ := strings.Cut(resp.Status, " ")
	if resp.ContentLength >= 0 && resp.Header.Get("Content-Length") == "" && len(body) > 0 {
		t.Errorf("the answer to\n%s has neither a length nor a coding", request)
	}
	return answer{resp.StatusCode, phrase, resp.Header, body, resp.Trailer}
}
