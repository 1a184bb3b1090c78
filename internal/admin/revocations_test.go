package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/revocation"
	"yett/internal/store/memory"
)

// jwt makes a token of a payload; nobody verifies it.
func jwt(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(payload)) + ".c2lnbmF0dXJl"
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// revocations is a page over a list that follows a store, and its log.
func revocations(t *testing.T) (*Revocations, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	r := &Revocations{
		List: revocation.New(), State: &state{store: StoreState{Name: "memory"}}, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}
	s := memory.New()
	synced, done := make(chan error, 10), make(chan struct{})
	go func() {
		defer close(done)
		r.List.Follow(t.Context(), s, func(err error) { synced <- err })
	}()
	<-synced
	t.Cleanup(func() { <-done; s.Close() })
	return r, log
}

// post sends a body of a length that nobody knows.
func post(r *Revocations, body io.Reader) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Method = "POST"
	x.RequestID, x.Identity.Subject = "the-request", "the-admin"
	x.Request.Add("Content-Type", "application/json; charset=utf-8")
	x.RequestBody.SetSource(io.NopCloser(body), -1)
	r.Serve(x)
	return x
}

func answerOf(t *testing.T, x *exchange.Exchange) map[string]any {
	t.Helper()
	b, _ := x.ResponseBody.Whole()
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return fields
}

func TestRevoke(t *testing.T) {
	now := time.Now()
	exp := now.Add(30 * time.Minute).Unix()
	whole := jwt(fmt.Sprintf(`{"jti":"whole","sub":"tom","exp":%d}`, exp))
	anonymous := jwt(fmt.Sprintf(`{"exp":%d}`, exp))
	old := now.Add(-time.Minute)
	for _, test := range []struct {
		name, body string
		token      revocation.Token
		revoked    []any
		expires    time.Time
	}{
		{"a jti", `{"jti":"a"}`, revocation.Token{ID: "a"}, []any{"jti"}, now.Add(24 * time.Hour)},
		{"a jti until seconds", fmt.Sprintf(`{"jti":"b","expires":%d}`, exp), revocation.Token{ID: "b"}, []any{"jti"}, time.Unix(exp, 0)},
		{"a jti until a time", fmt.Sprintf(` {"expires":%q, "jti":"c"} `, time.Unix(exp, 0).UTC().Format(time.RFC3339)), revocation.Token{ID: "c"}, []any{"jti"}, time.Unix(exp, 0)},
		{"a sum", fmt.Sprintf(`{"token_sha256":%q}`, hexSum("x")), revocation.Token{Sums: [][32]byte{sha256.Sum256([]byte("x"))}}, []any{"token_sha256"}, now.Add(24 * time.Hour)},
		{"a sum in capitals", fmt.Sprintf(`{"token_sha256":%q}`, strings.ToUpper(hexSum("y"))), revocation.Token{Sums: [][32]byte{sha256.Sum256([]byte("y"))}}, []any{"token_sha256"}, now.Add(24 * time.Hour)},
		{"a subject", `{"subject":"tom"}`, revocation.Token{Subject: "tom", IssuedAt: old}, []any{"subject"}, now.Add(24 * time.Hour)},
		{"a subject before", fmt.Sprintf(`{"subject":"ann","issued_before":%d.5}`, old.Unix()), revocation.Token{Subject: "ann", IssuedAt: old.Add(-time.Second)}, []any{"subject"}, now.Add(24 * time.Hour)},
		{"a token by its sum", fmt.Sprintf(`{"token":%q}`, whole), revocation.Token{Sums: [][32]byte{sha256.Sum256([]byte(whole))}}, []any{"token_sha256", "jti"}, time.Unix(exp, 0)},
		{"a token by its jti", fmt.Sprintf(`{"token":%q}`, whole), revocation.Token{ID: "whole"}, []any{"token_sha256", "jti"}, time.Unix(exp, 0)},
		{"a token without jti", fmt.Sprintf(`{"token":%q}`, anonymous), revocation.Token{Sums: [][32]byte{sha256.Sum256([]byte(anonymous))}}, []any{"token_sha256"}, time.Unix(exp, 0)},
		{"not for less than the token lives", fmt.Sprintf(`{"token":%q,"expires":%d}`, whole, exp-60), revocation.Token{ID: "whole"}, []any{"token_sha256", "jti"}, time.Unix(exp, 0)},
		{"for longer than it says", fmt.Sprintf(`{"token":%q,"expires":%d}`, whole, exp+60), revocation.Token{ID: "whole"}, []any{"token_sha256", "jti"}, time.Unix(exp+60, 0)},
		{"a token without exp", fmt.Sprintf(`{"token":%q}`, jwt(`{"jti":"endless"}`)), revocation.Token{ID: "endless"}, []any{"token_sha256", "jti"}, now.Add(24 * time.Hour)},
		{"a token that lives for ages", fmt.Sprintf(`{"token":%q}`, jwt(`{"jti":"old","exp":250000000000}`)), revocation.Token{ID: "old"}, []any{"token_sha256", "jti"}, now.Add(longestLife)},
		{"a token whose jti is none", fmt.Sprintf(`{"token":%q}`, jwt(`{"jti":5,"exp":"x"}`)), revocation.Token{Sums: [][32]byte{sha256.Sum256([]byte(jwt(`{"jti":5,"exp":"x"}`)))}}, []any{"token_sha256"}, now.Add(24 * time.Hour)},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, log := revocations(t)
			x := post(r, strings.NewReader(test.body))
			if x.Status != 202 || x.Reason != nil {
				t.Fatalf("%d, %v: %s", x.Status, x.Reason, x.Detail)
			}
			if !r.List.Revoked(&test.token) {
				t.Errorf("%+v is not revoked", test.token)
			}
			got := answerOf(t, x)
			at, err := time.Parse(time.RFC3339, got["expires"].(string))
			if err != nil || at.Sub(test.expires).Abs() > time.Second*10 {
				t.Errorf("it expires at %v, want %v", got["expires"], test.expires)
			}
			if !reflect.DeepEqual(got["revoked"], test.revoked) || got["store"] != "written" {
				t.Errorf("the answer is %v", got)
			}
			if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"by":"the-admin","request_id":"the-request"`) || strings.Contains(line, "c2lnbmF0dXJl") {
				t.Errorf("the log says %q", line)
			}
		})
	}
}

// A token that is written with anything around it would be revoked under
// another sum than its own.
func TestRevokeReadsTokensStrictly(t *testing.T) {
	token := jwt(fmt.Sprintf(`{"sub":"tom","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	for _, given := range []string{"Bearer " + token, token + "\n", " " + token, strings.Replace(token, ".", ".\n", 1)} {
		r, _ := revocations(t)
		body, err := json.Marshal(map[string]string{"token": given})
		if err != nil {
			t.Fatal(err)
		}
		if x := post(r, bytes.NewReader(body)); x.Reason != exchange.BadRevocationValue {
			t.Errorf("%.12q...: %d", given, x.Status)
		}
	}
}

// A page of another site can send a cookie with the token of an administrator
// along, but not this media type.
func TestRevokeWantsJSON(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "text/plain; a=application/json", "application/json+x"} {
		r, _ := revocations(t)
		x := new(exchange.Pool).Get()
		x.Method = "POST"
		x.Request.Add("Content-Type", contentType)
		x.RequestBody.SetBytes([]byte(`{"jti":"a"}`))
		r.Serve(x)
		if x.Reason != exchange.BadRevocationType || r.List.Revoked(&revocation.Token{ID: "a"}) {
			t.Errorf("%q: %d", contentType, x.Status)
		}
	}
}

// What is sent by mistake under a name may be a token.
func TestRevokeLogsNoToken(t *testing.T) {
	r, _ := revocations(t)
	token := jwt(`{"sub":"tom"}`)
	if x := post(r, strings.NewReader(`{"`+token+`":1}`)); x.Reason != exchange.BadRevocationField || strings.Contains(x.Detail, token[:20]) {
		t.Errorf("%d %q", x.Status, x.Detail)
	}
}

func TestRevokeRefuses(t *testing.T) {
	soon := time.Now().Add(time.Hour).Unix()
	for _, test := range []struct {
		name, body string
		want       *exchange.Reason
	}{
		{"nothing", "", exchange.BadRevocation},
		{"no JSON", "jti=a", exchange.BadRevocation},
		{"a list", `["a"]`, exchange.BadRevocation},
		{"a text", `"a"`, exchange.BadRevocation},
		{"half an object", `{"jti":"a"`, exchange.BadRevocation},
		{"a broken value", `{"jti":a}`, exchange.BadRevocation},
		{"two objects", `{"jti":"a"}{"jti":"b"}`, exchange.BadRevocation},
		{"something behind", `{"jti":"a"} x`, exchange.BadRevocation},
		{"an unknown field", `{"jit":"a"}`, exchange.BadRevocationField},
		{"capitals", `{"JTI":"a"}`, exchange.BadRevocationField},
		{"twice", `{"jti":"a","jti":"b"}`, exchange.BadRevocationField},
		{"no target", `{}`, exchange.BadRevocationTarget},
		{"only a time", fmt.Sprintf(`{"expires":%d}`, soon), exchange.BadRevocationTarget},
		{"two targets", `{"jti":"a","subject":"tom"}`, exchange.BadRevocationTarget},
		{"a moment for a jti", fmt.Sprintf(`{"jti":"a","issued_before":%d}`, soon), exchange.BadRevocationTarget},
		{"an empty jti", `{"jti":""}`, exchange.BadRevocationValue},
		{"null", `{"jti":null}`, exchange.BadRevocationValue},
		{"a number", `{"subject":5}`, exchange.BadRevocationValue},
		{"a short sum", `{"token_sha256":"abcd"}`, exchange.BadRevocationValue},
		{"a sum that is none", `{"token_sha256":"` + strings.Repeat("x", 64) + `"}`, exchange.BadRevocationValue},
		{"a token that is none", `{"token":"hunter2"}`, exchange.BadRevocationValue},
		{"a token of rubbish", `{"token":"a.b.c"}`, exchange.BadRevocationValue},
		{"a token of null", fmt.Sprintf(`{"token":%q}`, jwt("null")), exchange.BadRevocationValue},
		{"a past end", `{"jti":"a","expires":1000000000}`, exchange.BadRevocationTime},
		{"milliseconds", fmt.Sprintf(`{"jti":"a","expires":%d000}`, soon), exchange.BadRevocationTime},
		{"beyond all clocks", `{"jti":"a","expires":1e300}`, exchange.BadRevocationTime},
		{"before 1970", `{"subject":"a","issued_before":-5}`, exchange.BadRevocationTime},
		{"no time", `{"jti":"a","expires":"tomorrow"}`, exchange.BadRevocationTime},
		{"a date", `{"jti":"a","expires":"2099-01-01"}`, exchange.BadRevocationTime},
		{"null for a time", `{"jti":"a","expires":null}`, exchange.BadRevocationTime},
		{"too large", `{"jti":"` + strings.Repeat("x", maxRevocation) + `"}`, exchange.BodyTooLarge},
	} {
		r, log := revocations(t)
		x := post(r, strings.NewReader(test.body))
		if x.Reason != test.want {
			t.Errorf("%s: %v %s, want %v", test.name, x.Reason, x.Detail, test.want)
		}
		if strings.Contains(x.Detail, "hunter2") {
			t.Errorf("%s: the log would say %q", test.name, x.Detail)
		}
		if c := r.List.Counts(); c != (revocation.Counts{}) || log.Len() > 0 {
			t.Errorf("%s: on the list are %+v", test.name, c)
		}
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// A body that does not come is told as what it is.
func TestRevokeBrokenBody(t *testing.T) {
	r, _ := revocations(t)
	for err, want := range map[error]*exchange.Reason{
		exchange.BodyTimeout: exchange.BodyTimeout, errors.New("reset"): exchange.TruncatedBody, exchange.ErrBodyTooLarge: exchange.BodyTooLarge,
	} {
		if x := post(r, broken{err}); x.Reason != want {
			t.Errorf("%v: %v", err, x.Reason)
		}
	}
}

// What the store does not have yet counts here, and the answer says so.
func TestRevokeWithoutStore(t *testing.T) {
	log := new(bytes.Buffer)
	r := &Revocations{List: revocation.New(), State: &state{}, Log: slog.New(slog.NewJSONHandler(log, nil))}
	x := post(r, strings.NewReader(`{"jti":"a"}`))
	if got := answerOf(t, x); x.Status != 202 || got["store"] != "pending" || !strings.Contains(got["message"].(string), "this node") {
		t.Errorf("%d %v", x.Status, got)
	}
	if !r.List.Revoked(&revocation.Token{ID: "a"}) || !strings.Contains(log.String(), `"pending"`) {
		t.Errorf("the log says %s", log)
	}
}

func TestRevocationsAreCounted(t *testing.T) {
	r, _ := revocations(t)
	post(r, strings.NewReader(`{"jti":"a"}`))
	post(r, strings.NewReader(`{"subject":"a"}`))
	post(r, strings.NewReader(fmt.Sprintf(`{"token":%q}`, jwt(`{"jti":"b"}`))))
	x := new(exchange.Pool).Get()
	x.Method = "GET"
	r.Serve(x)
	got := answerOf(t, x)
	if want := map[string]any{"jti": 2.0, "token_sha256": 1.0, "subject": 1.0}; x.Status != 200 || !reflect.DeepEqual(got["entries"], want) || got["pending"] != 0.0 {
		t.Errorf("%d %v", x.Status, got)
	}
	if s := got["store"].(map[string]any); s["name"] != "memory" || s["state"] != "connected" {
		t.Errorf("the store is %v", s)
	}
	x = new(exchange.Pool).Get()
	x.Method = "DELETE"
	if r.Serve(x); x.Reason != exchange.MethodNotAllowed || x.Allow != "GET, HEAD, POST" {
		t.Errorf("DELETE: %v, Allow %q", x.Reason, x.Allow)
	}
}

// Who sends what the type says is understood.
func TestRevocationInJSON(t *testing.T) {
	at := time.Now().Add(time.Hour)
	for _, r := range []Revocation{
		{Token: jwt(`{}`)}, {ID: "a", Expires: at}, {Sum: hexSum("a")}, {Subject: "tom", IssuedBefore: at, Expires: at},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := readRevocation(b)
		if err != nil || !back.Expires.Equal(r.Expires) || !back.IssuedBefore.Equal(r.IssuedBefore) {
			t.Errorf("%s: %+v, %v", b, back, err)
		}
		back.Expires, back.IssuedBefore = r.Expires, r.IssuedBefore
		if back != r {
			t.Errorf("%s is read as %+v", b, back)
		}
	}
}

func FuzzReadRevocation(f *testing.F) {
	f.Add([]byte(`{"jti":"a","expires":5}`))
	f.Add([]byte(`{"token":"a.b.c","expires":"2030-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := readRevocation(body)
		if err != nil {
			return
		}
		now := time.Now()
		entries, err := r.Entries(now)
		if m, ok := errors.AsType[*mistake](err); err != nil && (!ok || m.reason == nil) {
			t.Errorf("%v has no reason", err)
		}
		for _, e := range entries {
			if e.Expires.After(now.Add(longestLife)) {
				t.Errorf("%+v lasts too long", e)
			}
		}
	})
}
