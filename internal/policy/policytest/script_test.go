package policytest

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const goodScript = `What it shows.
-- config --
listeners: []
-- request --
POST /a HTTP/1.1
Host: example.org
Content-Length: 7

a
bcd
-- answer --
201 Created
Vary: a
Content-Type: text/plain
vary: b*
!X-Powered-By

Hello *!
-- request --
GET / HTTP/1.1
Host: example.org

-- answer --
204
`

func TestParseScript(t *testing.T) {
	s, err := ParseScript("a.txtar", []byte(goodScript))
	if err != nil {
		t.Fatal(err)
	}
	want := &Script{Name: "a.txtar", Comment: "What it shows.", Config: []byte("listeners: []\n"), Steps: []Step{
		{
			Request: []byte("POST /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 7\r\n\r\na\r\nbcd"),
			Answer: Answer{
				Line:   "201 Created",
				Header: []Expected{{"Vary", []string{"a", "b*"}}, {"Content-Type", []string{"text/plain"}}},
				Absent: []string{"X-Powered-By"},
				Body:   "Hello *!", HasBody: true,
			},
		},
		{Request: []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), Answer: Answer{Line: "204"}},
	}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestParseRequestKeepsTheLastChunk(t *testing.T) {
	got, err := parseRequest([]byte("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\na\n0\n\n"))
	if want := "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"; err != nil || string(got) != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
}

func TestBadScripts(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"nothing", "", "there is no request"},
		{"no config", "-- request --\n", `section "request" stands where "config" should`},
		{"two configs", "-- config --\n-- config --\n", `section "config" stands where "request" should`},
		{"no answer", "-- config --\n-- request --\nGET / HTTP/1.1\n\n", "the last request has no answer"},
		{"open header", "-- config --\n-- request --\nGET / HTTP/1.1\n-- answer --\n200\n", "no empty line ends the header"},
		{"carriage return", "-- config --\n-- request --\nGET / HTTP/1.1\r\n\n\n-- answer --\n200\n", "line ends are LF"},
		{"no status", "-- config --\n-- request --\nGET / HTTP/1.1\n\n-- answer --\nOK\n", `"OK" doesn't start with a status`},
		{"no field", "-- config --\n-- request --\nGET / HTTP/1.1\n\n-- answer --\n200\nServer\n", `"Server" is neither`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseScript("x.txtar", []byte(tt.script)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	header := http.Header{"Vary": {"a", "b"}, "X-Id": {"0190"}, "Access-Control-Allow-Origin": {"*"}}
	tests := []struct {
		name, answer string
		want         []string // what each difference starts with
	}{
		{"all right", "200 OK\nVary: a\nVary: b\nX-ID: *\n!Server\n\n{\"id\":\"*\"}", nil},
		{"without phrase and body", "200", nil},
		{"status", "404", []string{"status is 200, want 404"}},
		{"phrase", "200 Fine", []string{`phrase is "OK", want "Fine"`}},
		{"value", "200\nX-Id: 0191", []string{`X-Id is ["0190"], want ["0191"]`}},
		{"one of two values", "200\nVary: a", []string{`Vary is ["a" "b"], want ["a"]`}},
		{"order of values", "200\nVary: b\nVary: a", []string{`Vary is`}},
		{"missing, any value", "200\nServer: *", []string{`Server is [], want ["*"]`}},
		{"literal star", "200\nAccess-Control-Allow-Origin: \\*\nX-Id: \\*", []string{`X-Id is`}},
		{"absent", "200\n!X-Id", []string{`X-Id is ["0190"], want none`}},
		{"body", "200\n\n{}", []string{"body is\n{\"id\":\"7\"}\nwant\n{}"}},
		{"no body", "200\n\n", []string{"body is"}},
		{"all wrong", "201 Created\nA: b\n!Vary\n\nx", []string{"status", "phrase", "A is", "Vary is", "body"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parseAnswer(tt.answer)
			if err != nil {
				t.Fatal(err)
			}
			got := a.Compare(200, "OK", header, []byte(`{"id":"7"}`))
			if len(got) != len(tt.want) {
				t.Fatalf("%q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("%q, want %q", got[i], tt.want[i])
				}
			}
		})
	}
	if a, _ := parseAnswer("200 OK"); len(a.Compare(200, "", nil, nil)) > 0 {
		t.Error("an answer without a phrase, as HTTP/2 has it, must do")
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false},
		{"*", "", true}, {"*", "abc", true}, {"**", "abc", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "abcd", false},
		{"*b*d", "abcbd", true}, {"*ab", "aab", true}, {"a*a", "a", false},
		{`\*`, "*", true}, {`\*`, "a", false}, {`a\*b*`, "a*bc", true},
		{`*\*`, "a*", true}, {`\a`, `\a`, true}, {"*aab*", strings.Repeat("a", 50) + "b", true},
		{"*a*a*a*a*a*a*b", strings.Repeat("a", 5000), false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}
