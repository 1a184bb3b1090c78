package console

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode"
)

func TestAppend(t *testing.T) {
	const at = `{"time":"2026-01-02T03:04:05.678Z",`
	const shown = "2026-01-02T03:04:05.678Z "
	tests := []struct{ line, want string }{
		{at + `"level":"info","msg":"listening","listener":"main","tls":false,"n":3}`, shown + "INFO  listening listener=main tls=false n=3"},
		{at + `"level":"error","msg":"it broke","error":"a \"b\"\n c","empty":""}`, shown + `ERROR it broke error="a \"b\"\n c" empty=""`},
		{at + `"level":"warn","msg":"m","group":{"a":[1,{"b":"}"}],"c":"x y"},"last":null}`, shown + `WARN  m group={"a":[1,{"b":"}"}],"c":"x y"} last=null`},
		{at + `"level":"info+2","msg":"m"}`, shown + "INFO+2 m"},
		{at + `"level":"info","msg":"request","request_id":"id","client":"::1","method":"GET","path":"/größe/ü","query":"a=***","status":200,"bytes_in":0,"duration_ms":12.345}`,
			shown + "INFO  200 GET /größe/ü?a=*** 12.345ms request_id=id client=::1 bytes_in=0"},
		{at + `"level":"info","msg":"request","status":400,"reason":"bad_request_line","duration_ms":0.010}`, shown + "INFO  400 - - 0.010ms reason=bad_request_line"},
		{at + `"level":"info","msg":"request","method":"GET","path":"/a b\u001b[31m\u009b","status":404,"duration_ms":1.000}`, shown + `INFO  404 GET "/a b\x1b[31m\u009b" 1.000ms`},
		{at + `"level":"info","msg":"\u001b]0;title\u0007 and \u202e"}`, shown + `INFO  \x1b]0;title\a and \u202e`},
		{"no JSON \x1b[31m\xff\tat all", `no JSON \x1b[31m\xff` + "\tat all"},
		{`{"time":"x","level"`, `{"time":"x","level"`},
		{`{}`, "       "},
		{"", ""},
	}
	for _, tt := range tests {
		if got := string(Style{}.Append(nil, []byte(tt.line+"\n"))); strings.TrimRight(got, " \n") != strings.TrimRight(tt.want, " ") {
			t.Errorf("%s\n%q, want\n%q", tt.line, got, tt.want)
		}
	}
}

func TestColour(t *testing.T) {
	for line, want := range map[string]string{
		`{"time":"T","level":"warn","msg":"m","k":"v"}`:                                                          "\x1b[2mT\x1b[0m \x1b[33mWARN\x1b[0m  m \x1b[2mk\x1b[0m=v\n",
		`{"time":"T","level":"info","msg":"request","method":"GET","path":"/","status":502,"duration_ms":1.000}`: "\x1b[2mT\x1b[0m \x1b[32mINFO\x1b[0m  \x1b[31m502\x1b[0m GET / 1.000ms\n",
	} {
		if got := string(Style{Colour: true}.Append(nil, []byte(line))); got != want {
			t.Errorf("%s\n%q, want\n%q", line, got, want)
		}
	}
}

// What is written for people can be read again: what one filters by.
func TestParseBoth(t *testing.T) {
	for _, line := range []string{
		`{"time":"2026-01-02T03:04:05.678Z","level":"error","msg":"request","request_id":"a b","client":"::1","method":"GET","path":"/x y","query":"q=1","status":502,"route":"r=1","duration_ms":12.345}`,
		`{"time":"2026-01-02T03:04:05.678Z","level":"warn","msg":"odd","a":"b \"c\""}`,
	} {
		want, ok := Parse([]byte(line), nil)
		if !ok {
			t.Fatalf("%s can't be read", line)
		}
		text := Style{}.Append(nil, []byte(line))
		got, ok := Parse(text, nil)
		if !ok || got.IsRequest() != want.IsRequest() {
			t.Errorf("%s can't be read, or is another kind", text)
		}
		for _, key := range []string{"time", "level", "status", "route", "request_id", "a", "method"} {
			if got.Text(key) != want.Text(key) {
				t.Errorf("%s of %s is %q", key, text, got.Text(key))
			}
		}
	}
	for _, line := range []string{"", "goroutine 1 [running]:", "{", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}}`, `["a"]`, `{1:2}`} {
		if l, ok := Parse([]byte(line), nil); ok {
			t.Errorf("%q is read as %v", line, l)
		}
	}
}

// Whatever a line holds, nothing of it moves the cursor of a terminal, and nothing breaks.
func FuzzAppend(f *testing.F) {
	var own strings.Builder
	slog.New(slog.NewJSONHandler(&own, nil)).With("g", slog.GroupValue(slog.Int("a", 1))).Error("x\x1b", "b\n", []string{"\x00"})
	f.Add(own.String())
	f.Add(`{"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"request","path":"/\u001b","status":200}`)
	f.Add("{\"a\":\"\xff\\")
	f.Fuzz(func(t *testing.T, line string) {
		line, _, _ = strings.Cut(line, "\n")
		got := string(Style{}.Append(nil, []byte(line)))
		if !strings.HasSuffix(got, "\n") {
			t.Errorf("no end: %q", got)
		}
		for _, r := range got[:len(got)-1] {
			if r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("%q of %q holds %q", got, line, r)
			}
		}
		l, ok := Parse([]byte(line), nil)
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && strings.HasPrefix(line, `{"`) && !ok && !strings.ContainsAny(line, " \t\r") {
			t.Errorf("%q is JSON", line)
		}
		for _, f := range l.Fields {
			_ = l.Text(f.Key)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	line := []byte(`{"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"request","request_id":"0b1d8a3c-8a39-4e53-8b8a-5f8b8f3f7f11","client":"203.0.113.9","method":"GET","host":"api.example.org","path":"/api/v1/customers/17","proto":"HTTP/1.1","route":"customers","service":"crm","target":"10.0.0.1:8080","status":200,"bytes_in":0,"bytes_out":1532,"duration_ms":12.345,"upstream_ms":12.001,"attempts":1}` + "\n")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = Style{Colour: true}.Append(buf[:0], line)
	}
}
