package policytest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Script is a conversation with a gateway, kept in a txtar file: a section
// config with the whole configuration of a small gateway, then pairs of a
// section request and a section answer.
//
//	A comment: what it shows.
//	-- config --
//	listeners: [{address: 127.0.0.1:0}]
//	...
//	-- request --
//	GET /hello HTTP/1.1
//	Host: example.org
//
//	-- answer --
//	200 OK
//	Content-Type: text/plain; charset=utf-8
//	X-Request-ID: *
//	!X-Powered-By
//
//	Hello *!
type Script struct {
	// Name is the file.
	Name    string
	Comment string
	Config  []byte
	Steps   []Step
}

// Step is a request and what is expected for it.
type Step struct {
	// Request is what goes through the socket. Each LF of the script has become
	// CRLF. The last line end of the section is not part of it when there is a
	// body; an empty last line ends a header, or the last chunk.
	Request []byte
	Answer  Answer
}

// Answer is what is expected. In values and body, * stands for anything, and
// \* for itself.
type Answer struct {
	// Line is the number of the status, maybe with its phrase.
	Line string
	// Header holds the fields that have to be there with exactly these values,
	// Absent the names that must not be there. Others may be.
	Header []Expected
	Absent []string
	// Body is the whole body, without the last line end of the section. It
	// counts only when HasBody: when an empty line follows the header.
	Body    string
	HasBody bool
}

// Expected is a field name and all the values that it has to have, in order.
type Expected struct {
	Name   string
	Values []string
}

// ReadScripts reads the files that match a pattern, such as
// "testdata/*.txtar".
func ReadScripts(tb testing.TB, pattern string) []*Script {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatalf("find scripts: %v", err)
	}
	var scripts []*Script
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatalf("read script: %v", err)
		}
		s, err := ParseScript(file, data)
		if err != nil {
			tb.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	return scripts
}

// ParseScript reads a script.
func ParseScript(name string, data []byte) (*Script, error) {
	archive := txtar.Parse(data)
	s := &Script{Name: name, Comment: strings.TrimSpace(string(archive.Comment))}
	want := "config"
	for _, section := range archive.Files {
		if section.Name != want {
			return nil, fmt.Errorf("%s: section %q stands where %q should", name, section.Name, want)
		}
		var err error
		if want, err = s.add(section); err != nil {
			return nil, fmt.Errorf("%s: %s %d: %w", name, section.Name, len(s.Steps), err)
		}
	}
	switch {
	case len(s.Steps) == 0:
		return nil, fmt.Errorf("%s: there is no request", name)
	case want == "answer":
		return nil, fmt.Errorf("%s: the last request has no answer", name)
	}
	return s, nil
}

// add takes a section and returns the name of the next.
func (s *Script) add(section txtar.File) (next string, err error) {
	switch section.Name {
	case "config":
		s.Config = section.Data
		return "request", nil
	case "request":
		request, err := parseRequest(section.Data)
		s.Steps = append(s.Steps, Step{Request: request})
		return "answer", err
	default:
		answer, err := parseAnswer(string(section.Data))
		s.Steps[len(s.Steps)-1].Answer = answer
		return "request", err
	}
}

func parseRequest(data []byte) ([]byte, error) {
	switch {
	case !bytes.Contains(data, []byte("\n\n")):
		return nil, fmt.Errorf("no empty line ends the header")
	case bytes.Contains(data, []byte("\r")):
		return nil, fmt.Errorf("line ends are LF in a script")
	case !bytes.HasSuffix(data, []byte("\n\n")):
		data = bytes.TrimSuffix(data, []byte("\n"))
	}
	return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")), nil
}

func parseAnswer(text string) (Answer, error) {
	head, body, hasBody := strings.Cut(text, "\n\n")
	a := Answer{Body: strings.TrimSuffix(body, "\n"), HasBody: hasBody}
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	a.Line = lines[0]
	if code, _, _ := strings.Cut(a.Line, " "); len(code) != 3 || !isNumber(code) {
		return a, fmt.Errorf("%q doesn't start with a status", a.Line)
	}
	for _, line := range lines[1:] {
		if err := a.addField(line); err != nil {
			return a, err
		}
	}
	return a, nil
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

func (a *Answer) addField(line string) error {
	if name, absent := strings.CutPrefix(line, "!"); absent {
		a.Absent = append(a.Absent, name)
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is neither \"Name: value\" nor \"!Name\"", line)
	}
	value = strings.TrimSpace(value)
	for i := range a.Header {
		if strings.EqualFold(a.Header[i].Name, name) {
			a.Header[i].Values = append(a.Header[i].Values, value)
			return nil
		}
	}
	a.Header = append(a.Header, Expected{name, []string{value}})
	return nil
}

// Compare returns what is different in an answer that came, one line for
// each. The phrase is compared where both have one, since HTTP/2 has none.
func (a Answer) Compare(status int, phrase string, header http.Header, body []byte) []string {
	var diff []string
	code, wantPhrase, _ := strings.Cut(a.Line, " ")
	if code != strconv.Itoa(status) {
		diff = append(diff, fmt.Sprintf("status is %d, want %s", status, code))
	}
	if wantPhrase != "" && phrase != "" && phrase != wantPhrase {
		diff = append(diff, fmt.Sprintf("phrase is %q, want %q", phrase, wantPhrase))
	}
	for _, want := range a.Header {
		got := header.Values(want.Name)
		if !matchAll(want.Values, got) {
			diff = append(diff, fmt.Sprintf("%s is %q, want %q", want.Name, got, want.Values))
		}
	}
	for _, name := range a.Absent {
		if got := header.Values(name); len(got) > 0 {
			diff = append(diff, fmt.Sprintf("%s is %q, want none", name, got))
		}
	}
	if a.HasBody && !match(a.Body, string(body)) {
		diff = append(diff, fmt.Sprintf("body is\n%s\nwant\n%s", body, a.Body))
	}
	return diff
}

func matchAll(patterns, values []string) bool {
	if len(patterns) != len(values) {
		return false
	}
	for i := range patterns {
		if !match(patterns[i], values[i]) {
			return false
		}
	}
	return true
}

// match tells whether s is what the pattern says. A star stands for any text;
// it is enough to go back to the last one, since what an earlier one could
// take more, the last one can as well.
func match(pattern, s string) bool {
	star, rest := "", ""
	hasStar := false
	for {
		switch literal, after, ok := nextLiteral(pattern); {
		case strings.HasPrefix(pattern, "*"):
			pattern = pattern[1:]
			star, rest, hasStar = pattern, s, true
		case !ok && s == "":
			return true
		case ok && s != "" && s[0] == literal:
			pattern, s = after, s[1:]
		case !hasStar || rest == "":
			return false
		default:
			rest = rest[1:]
			pattern, s = star, rest
		}
	}
}

// nextLiteral splits the first byte off a pattern that doesn't start with a
// star.
func nextLiteral(pattern string) (literal byte, after string, ok bool) {
	if strings.HasPrefix(pattern, `\*`) {
		pattern = pattern[1:]
	}
	if pattern == "" {
		return 0, "", false
	}
	return pattern[0], pattern[1:], true
}
