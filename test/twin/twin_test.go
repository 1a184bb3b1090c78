package twin

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"yett/internal/policy/policytest"
)

// answer is what came back for one request.
type answer struct {
	status  int
	phrase  string // HTTP/1.1 only
	header  http.Header
	body    []byte
	trailer http.Header
}

// sender puts a request of a script on a connection of its own.
type sender func(t *testing.T, address string, request []byte) answer

func TestScripts(t *testing.T) {
	own := policytest.ReadScripts(t, filepath.Join("testdata", "*.txtar"))
	policies := policytest.ReadScripts(t, filepath.Join("..", "..", "internal", "policy", "*", "testdata", "*.txtar"))
	if len(own) == 0 || len(policies) == 0 {
		t.Fatalf("%d own scripts and %d of policies: the test looks in the wrong place", len(own), len(policies))
	}
	upstream := startEcho(t)
	for _, script := range append(own, policies...) {
		t.Run(name(script), func(t *testing.T) { play(t, script, upstream) })
	}
}

// name is policy/script, or the script alone for one of ours.
func name(script *policytest.Script) string {
	file := strings.TrimSuffix(filepath.Base(script.Name), ".txtar")
	if folder := filepath.Dir(filepath.Dir(script.Name)); folder != "." {
		return filepath.Base(folder) + "/" + file
	}
	return file
}

// play plays a script over both protocols, each with a gateway of its own, as
// limits and breakers would otherwise count both.
func play(t *testing.T, script *policytest.Script, upstream string) {
	first := converse(t, startGateway(t, script, upstream), script, sendHTTP1)
	second := converse(t, startGateway(t, script, upstream), script, sendHTTP2)
	for i, step := range script.Steps {
		one, two := first[i], second[i]
		report(t, i, step, "HTTP/1.1", append(step.Answer.Compare(one.status, one.phrase, one.header, one.body), misshapen(one)...))
		if ofHTTP1(step.Request) {
			continue
		}
		want := step.Answer
		want.Header = withoutConnection(want.Header)
		report(t, i, step, "HTTP/2", append(want.Compare(two.status, "", two.header, two.body), misshapen(two)...))
		report(t, i, step, "the engines differ", differences(one, two))
	}
}

func converse(t *testing.T, address string, script *policytest.Script, send sender) []answer {
	var answers []answer
	for _, step := range script.Steps {
		answers = append(answers, send(t, address, step.Request))
	}
	return answers
}

func report(t *testing.T, i int, step policytest.Step, what string, diff []string) {
	t.Helper()
	if len(diff) > 0 {
		line, _, _ := bytes.Cut(step.Request, []byte("\r\n"))
		t.Errorf("request %d, %s: %s:\n%s", i+1, line, what, strings.Join(diff, "\n"))
	}
}

// withoutConnection drops what an answer in HTTP/2 can't have.
func withoutConnection(fields []policytest.Expected) []policytest.Expected {
	var kept []policytest.Expected
	for _, f := range fields {
		if !ofConnection(f.Name) {
			kept = append(kept, f)
		}
	}
	return kept
}

// differences compares two answers where they have to be equal.
func differences(one, two answer) []string {
	var diff []string
	if one.status != two.status {
		diff = append(diff, fmt.Sprintf("status %d and %d", one.status, two.status))
	}
	diff = append(diff, compareHeaders("header", one.header, two.header)...)
	diff = append(diff, compareHeaders("trailer", one.trailer, two.trailer)...)
	if a, b := settle(string(one.body)), settle(string(two.body)); a != b {
		diff = append(diff, fmt.Sprintf("body\n%s\nand\n%s", a, b))
	}
	return diff
}
