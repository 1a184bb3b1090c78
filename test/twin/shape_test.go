package twin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/catalog"
	"yett/internal/exchange"
)

// misshapen tells what is wrong with an answer that is a refusal of the
// gateway: all have one shape, and say nothing but what the list of reasons
// says, whoever refuses and whatever a service has said.
func misshapen(a answer) []string {
	if !bytes.HasPrefix(a.body, []byte(`{"error"`)) {
		return nil
	}
	var shape struct {
		Error struct {
			Code       string `json:"code"`
			Message    string `json:"message"`
			Status     int    `json:"status"`
			Timestamp  string `json:"timestamp"`
			RequestID  string `json:"request_id"`
			RetryAfter int    `json:"retryAfter"`
			Details    []any  `json:"details"`
		} `json:"error"`
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&shape); err != nil {
		return []string{fmt.Sprintf("the refusal %s: %v", a.body, err)}
	}
	e := shape.Error
	var wrong []string
	check := func(ok bool, what string, values ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("the refusal's "+what, values...))
		}
	}
	_, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp)
	check(slices.ContainsFunc(catalog.Reasons(), func(r *exchange.Reason) bool {
		return r.Code == e.Code && r.Message == e.Message && r.Status == e.Status
	}), "words are not on the list: %s", a.body)
	check(e.Status == a.status, "status is %d, the answer's %d", e.Status, a.status)
	check(err == nil, "timestamp is %q", e.Timestamp)
	check(len(e.RequestID) == 36, "request ID is %q", e.RequestID)
	if id := a.header.Values("X-Request-ID"); len(id) > 0 {
		check(len(id) == 1 && id[0] == e.RequestID, "request ID is %q, the header has %q", e.RequestID, id)
	}
	for name, want := range map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"} {
		check(slices.Equal(a.header.Values(name), []string{want}), "%s is %q", name, a.header.Values(name))
	}
	check((a.status == http.StatusMethodNotAllowed) == (a.header["Allow"] != nil), "Allow is %q", a.header["Allow"])
	return wrong
}

// The check must be able to fail.
func TestMisshapen(t *testing.T) {
	const id = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
	good := `{"error":{"code":"NOT_FOUND","message":"Nothing is here","status":404,"timestamp":"2026-01-02T03:04:05.678Z","request_id":"` + id + `"}}`
	refusal := func(old, with string) answer {
		return answer{status: 404, body: []byte(strings.Replace(good, old, with, 1)), header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "Cache-Control": {"no-store"}, http.CanonicalHeaderKey("X-Request-ID"): {id}}}
	}
	if wrong := misshapen(refusal("", "")); wrong != nil {
		t.Errorf("a good one: %q", wrong)
	}
	for _, tt := range [][2]string{
		{"NOT_FOUND", "NOWHERE"}, {"Nothing is here", "dial tcp 127.0.0.1:1: connection refused"}, {":404", ":400"},
		{".678Z", "Z"}, {id, "1"}, {`"status"`, `"Code":"A","detail":"a","status"`}, {"}}", "}"},
	} {
		if misshapen(refusal(tt[0], tt[1])) == nil {
			t.Errorf("%q for %q is good", tt[1], tt[0])
		}
	}
	for name, values := range map[string][]string{
		"Content-Type": {"application/json"}, "Cache-Control": nil, "X-Request-Id": {"other"}, "Allow": {"GET"},
	} {
		a := refusal("", "")
		if a.header[name] = values; misshapen(a) == nil {
			t.Errorf("%s %q is good", name, values)
		}
	}
}
