package twin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// echo is what the service says about a request: everything it got.
type echo struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Host    string      `json:"host"`
	Header  http.Header `json:"header"`
	Body    string      `json:"body"`
	Trailer http.Header `json:"trailer,omitempty"`
}

// startEcho starts the service and returns its URL. Requests tell it how to
// answer: X-Answer-Status is the status, each X-Answer a field, and
// X-Answer-Trailer a trailer, of the answer. X-Answer-Fault has it fail.
func startEcho(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the gateway gave the request up
		}
		if fault := r.Header.Get("X-Answer-Fault"); fault != "" {
			fail(t, w, r, fault)
		}
		order := takeOrder(r.Header)
		for _, f := range order.fields {
			w.Header().Add(f[0], f[1])
		}
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(order.status)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		// A status without content refuses it, and so does HEAD.
		_ = encoder.Encode(echo{r.Method, r.RequestURI, r.Host, r.Header, string(body), r.Trailer})
		for _, f := range order.trailers {
			w.Header().Add(http.TrailerPrefix+f[0], f[1])
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// fail has the service fail: it hangs until the gateway gives up, closes the
// connection, or sends what no client should ever see.
func fail(t *testing.T, w http.ResponseWriter, r *http.Request, fault string) {
	switch fault {
	case "hang":
		<-r.Context().Done()
	case "close":
	case "garbage":
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			break
		}
		_, _ = io.WriteString(nc, "dial tcp 10.1.2.3:5432: connection refused\r\n\r\n")
		_ = nc.Close()
	default:
		t.Errorf("there is no fault %q", fault)
	}
	panic(http.ErrAbortHandler)
}

// order is how the service is to answer.
type order struct {
	status           int
	fields, trailers [][2]string
}

// takeOrder takes the order out of a request's header.
func takeOrder(h http.Header) order {
	o := order{status: http.StatusOK, fields: pairs(h["X-Answer"]), trailers: pairs(h["X-Answer-Trailer"])}
	if status, err := strconv.Atoi(h.Get("X-Answer-Status")); err == nil {
		o.status = status
	}
	for _, name := range []string{"X-Answer", "X-Answer-Trailer", "X-Answer-Status"} {
		delete(h, name)
	}
	return o
}

func pairs(lines []string) [][2]string {
	var fields [][2]string
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, [2]string{name, strings.TrimSpace(value)})
	}
	return fields
}
