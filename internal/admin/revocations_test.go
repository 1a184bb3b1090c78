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
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/revocation"
	"yett/internal/store/memory"
	"yett/internal/token"
)

// verifier verifies with a secret, and knows what is on a list.
func verifier(t *testing.T, secret string, list *revocation.List) *token.Verifier {
	t.Helper()
	c, err := config.Parse("yett.yaml", []byte(`
listeners: [{address: ":0"}]
issuers: {main: {keys: [{secret: `+secret+`}]}}
routes: [{name: r, path: /, auth: none, endpoint: ready}]
`), config.MapEnv(nil))
	if err != nil {
		t.Fatal(err)
	}
	v, problems := token.New(c.Issuers, token.Deps{Revoked: list, Resolve: c.Source.Resolve})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(v.Close)
	return v
}

const (
	ownSecret     = "a-secret-of-at-least-thirty-two-bytes"
	foreignSecret = "another-secret-of-thirty-two-bytes-too"
)

// signed is a token with a signature that is right for a secret.
func signed(t *testing.T, secret, jti string, life time.Duration) string {
	t.Helper()
	now := time.Now()
	raw, err := verifier(t, secret, nil).Sign("main", map[string]any{"sub": "tom", "jti": jti, "iat": now.Add(-time.Hour).Unix(), "exp": now.Add(life).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// jwt makes a token of a payload; nobody verifies it.
func jwt(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(payload)) + ".c2lnbmF0dXJl"
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// named is a store that all nodes share, as far as its name goes.
type named struct{ *memory.Store }

func (named) Name() string { return "shared" }

// revocations is a page over a list that follows a store, and its log.
func revocations(t *testing.T) (*Revocations, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	r := &Revocations{
		List: revocation.New(), State: &state{store: StoreState{Name: "shared"}}, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}
	v := verifier(t, ownSecret, r.List)
	r.Tokens = func() *token.Verifier { return v }
	s := named{memory.New(memory.Options{})}
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
		{"a jti for a while", `{"jti":"d","expires":"15m"}`, revocation.Token{ID: "d"}, []any{"jti"}, now.Add(15 * time.Minute)},
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

// A token that would not pass is hardly the one that is meant: it is revoked,
// and whoever asked is told. Nothing of it is said.
func TestRevokeExaminesTokens(t *testing.T) {
	whole := signed(t, ownSecret, "whole", time.Hour)
	cut := whole[:len(whole)-3] // the last two bytes, so that it is still base64url
	for _, test := range []struct {
		name, token string
		warning     any
	}{
		{"a good one", whole, nil},
		{"a cut one", cut, "this token would not pass anyway (token_signature): is it whole?"},
		{"one of somebody else", signed(t, foreignSecret, "foreign", time.Hour), "this token would not pass anyway (token_signature): is it whole?"},
		{"an ended one of somebody else", signed(t, foreignSecret, "foreign", -time.Minute), "this token would not pass anyway (token_signature): is it whole?"},
	} {
		r, log := revocations(t)
		for range 2 { // what is revoked already is fine
			x := post(r, strings.NewReader(fmt.Sprintf(`{"token":%q}`, test.token)))
			got := answerOf(t, x)
			if x.Status != 202 || got["warning"] != test.warning || r.List.Counts().Sums != 1 {
				t.Errorf("%s: %d %v", test.name, x.Status, got)
			}
		}
		if text := log.String(); strings.Contains(text, test.token[:20]) || strings.Contains(text, "would not pass") != (test.warning != nil) {
			t.Errorf("%s: the log says %s", test.name, text)
		}
	}
}

// A token that has ended by itself need not be revoked, and the answer says
// that nothing was.
func TestRevokeEndedToken(t *testing.T) {
	r, log := revocations(t)
	x := post(r, strings.NewReader(fmt.Sprintf(`{"token":%q}`, signed(t, ownSecret, "old", -time.Minute))))
	got := answerOf(t, x)
	if revoked, ok := got["revoked"].([]any); x.Status != 200 || !ok || len(revoked) != 0 || !strings.Contains(got["message"].(string), "has ended by itself") {
		t.Errorf("%d %v", x.Status, got)
	}
	if c := r.List.Counts(); c != (revocation.Counts{}) {
		t.Errorf("on the list are %+v", c)
	}
	if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"by":"the-admin","request_id":"the-request"`) {
		t.Errorf("the log says %q", line)
	}
}

// Without shared state nothing is said of other nodes.
func TestRevokeInMemory(t *testing.T) {
	r, _ := revocations(t)
	r.State = &state{store: StoreState{Name: memory.New(memory.Options{}).Name()}}
	got := answerOf(t, post(r, strings.NewReader(`{"jti":"a"}`)))
	if got["store"] != "memory" || got["message"] != "In effect on this node, until it restarts." {
		t.Errorf("%v", got)
	}
}

// A clock that is a little ahead is no reason to refuse.
func TestRevokeIssuedInAMoment(t *testing.T) {
	r, _ := revocations(t)
	if x := post(r, strings.NewReader(fmt.Sprintf(`{"subject":"a","issued_before":%d}`, time.Now().Add(30*time.Second).Unix()))); x.Status != 202 {
		t.Errorf("%d %v", x.Status, x.Reason)
	}
}

// The caller reads which time it was, and what is wrong with it.
func TestRevokeSaysWhichTime(t *testing.T) {
	for body, want := range map[string]string{
		`{"jti":"a","expires":"soon"}`:                           "expires is no time",
		`{"jti":"a","expires":"2020-01-01T00:00:00Z"}`:           "expires is in the past",
		`{"jti":"a","expires":"2999-01-01T00:00:00Z"}`:           "expires is more than ten years ahead",
		`{"subject":"a","issued_before":"soon"}`:                 "issued_before is no time",
		`{"subject":"a","issued_before":"2999-01-01T00:00:00Z"}`: "issued_before is more than a minute ahead",
	} {
		r, _ := revocations(t)
		if x := post(r, strings.NewReader(body)); x.Status != 400 || !strings.HasPrefix(x.Reason.Message, want) || !strings.HasPrefix(x.Detail, want) {
			t.Errorf("%s: %v %q", body, x.Reason, x.Detail)
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
		{"a past end", `{"jti":"a","expires":1000000000}`, exchange.PastExpires},
		{"a duration that is over", `{"jti":"a","expires":"-5m"}`, exchange.PastExpires},
		{"a duration that is too long", `{"jti":"a","expires":"100000h"}`, exchange.FarExpires},
		{"milliseconds", fmt.Sprintf(`{"jti":"a","expires":%d000}`, soon), exchange.FarExpires},
		{"beyond all clocks", `{"jti":"a","expires":1e300}`, exchange.FarExpires},
		{"before 1970", `{"subject":"a","issued_before":-5}`, exchange.BadIssuedBefore},
		{"ahead", fmt.Sprintf(`{"subject":"a","issued_before":%d}`, time.Now().Add(90*time.Second).Unix()), exchange.FarIssuedBefore},
		{"a moment in milliseconds", fmt.Sprintf(`{"subject":"a","issued_before":%d000}`, soon), exchange.FarIssuedBefore},
		{"a duration for a moment", `{"subject":"a","issued_before":"15m"}`, exchange.BadIssuedBefore},
		{"no time", `{"jti":"a","expires":"tomorrow"}`, exchange.BadExpires},
		{"a date", `{"jti":"a","expires":"2099-01-01"}`, exchange.BadExpires},
		{"null for a time", `{"jti":"a","expires":null}`, exchange.BadExpires},
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
	v := verifier(t, ownSecret, nil)
	r := &Revocations{
		List: revocation.New(), State: &state{}, Tokens: func() *token.Verifier { return v }, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}
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
	if s := got["store"].(map[string]any); s["name"] != "shared" || s["state"] != "connected" {
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
		back, err := readRevocation(b, at)
		if err != nil || !back.Expires.Equal(r.Expires) || !back.IssuedBefore.Equal(r.IssuedBefore) {
			t.Errorf("%s: %+v, %v", b, back, err)
		}
		back.Expires, back.IssuedBefore = r.Expires, r.IssuedBefore
		if back != r {
			t.Errorf("%s is read as %+v", b, back)
		}
	}
}

// What the documentation shows is taken, on whatever day it is tried.
func TestDocumentedRevocations(t *testing.T) {
	text, err := os.ReadFile("../../docs/revocation.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile(`(?m)^curl .* --json (.*)$`).FindAllSubmatch(text, -1)
	if len(examples) < 3 {
		t.Fatalf("there are %d examples", len(examples))
	}
	for _, example := range examples {
		shell := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+string(example[1]))
		shell.Env = append(os.Environ(), "TOKEN="+signed(t, ownSecret, "a", time.Hour))
		body, err := shell.Output()
		if err != nil {
			t.Fatal(err)
		}
		r, _ := revocations(t)
		if x := post(r, bytes.NewReader(body)); x.Status != 202 {
			t.Errorf("%s: %d %s", example[1], x.Status, x.Detail)
		}
	}
}

func FuzzReadRevocation(f *testing.F) {
	f.Add([]byte(`{"jti":"a","expires":5}`))
	f.Add([]byte(`{"token":"a.b.c","expires":"2030-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Now()
		r, err := readRevocation(body, now)
		if err != nil {
			return
		}
		entries, err := r.Entries(now)
		if m, ok := errors.AsType[*Mistake](err); err != nil && (!ok || m.Reason == nil) {
			t.Errorf("%v has no reason", err)
		}
		for _, e := range entries {
			if e.Expires.After(now.Add(longestLife)) {
				t.Errorf("%+v lasts too long", e)
			}
		}
	})
}
