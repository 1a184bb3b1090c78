package main

import (
	"slices"
	"strings"
	"testing"
)

// Each stream is what go test -json writes, shortened.
func TestReport(t *testing.T) {
	for _, test := range []struct {
		name, events string
		want         []string // in the output, in this order
		without      string   // not in the output
		last         string
	}{
		{"a good package says one line", `
{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"    a_test.go:5: chatter\n"}
{"Action":"run","Package":"m/a","Test":"TestA/sub"}
{"Action":"pass","Package":"m/a","Test":"TestA/sub"}
{"Action":"pass","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t1.5s\n"}
{"Action":"pass","Package":"m/a","Elapsed":1.5}`,
			[]string{"ok    m/a  1.5s\n"}, "chatter", "2 passed, 0 failed, 0 skipped\n"},
		{"a failing test is shown in full", `
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"run","Package":"m/a","Test":"TestBad"}
{"Action":"run","Package":"m/a","Test":"TestBad/sub"}
{"Action":"output","Package":"m/a","Test":"TestBad/sub","Output":"    a_test.go:5: broken\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad/sub"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"--- FAIL: TestBad\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad"}
{"Action":"fail","Package":"m/a","Elapsed":0.1}`,
			[]string{"a_test.go:5: broken\n", "--- FAIL: TestBad\n", "FAIL  m/a  0.1s\n"}, "chatter", "1 passed, 2 failed, 0 skipped\n"},
		{"a skipped test says why", `
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"    a_test.go:4: curl: not installed\n"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestA"}
{"Action":"pass","Package":"m/a","Elapsed":0}`,
			[]string{"skip  m/a TestA: curl: not installed\n", "ok    m/a"}, "SKIP", "0 passed, 0 failed, 1 skipped\n"},
		{"a package that does not build counts as one", `
{"ImportPath":"m/c [m/c.test]","Action":"build-output","Output":"c_test.go:3:28: undefined: x\n"}
{"ImportPath":"m/c [m/c.test]","Action":"build-fail"}
{"Action":"output","Package":"m/c","Output":"FAIL\tm/c [build failed]\n"}
{"Action":"fail","Package":"m/c","FailedBuild":"m/c [m/c.test]"}`,
			[]string{"c_test.go:3:28: undefined: x\n", "FAIL  m/c"}, "", "0 passed, 1 failed, 0 skipped\n"},
		{"a test that never ended is shown, and the package counts", `
{"Action":"run","Package":"m/a","Test":"TestStuck"}
{"Action":"output","Package":"m/a","Test":"TestStuck","Output":"waiting\n"}
{"Action":"output","Package":"m/a","Output":"panic: test timed out after 5m\n"}
{"Action":"fail","Package":"m/a","Elapsed":300}`,
			[]string{"panic: test timed out", "waiting\n", "FAIL  m/a  300.0s\n"}, "", "0 passed, 1 failed, 0 skipped\n"},
		{"a package without tests is not mentioned", `
{"Action":"output","Package":"m/a","Output":"?   \tm/a\t[no test files]\n"}
{"Action":"skip","Package":"m/a"}`,
			nil, "m/a", "0 passed, 0 failed, 0 skipped\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(test.events)); err != nil {
				t.Fatal(err)
			}
			r.end()
			rest := out.String()
			if test.without != "" && strings.Contains(rest, test.without) {
				t.Errorf("the output has %q:\n%s", test.without, rest)
			}
			for _, want := range append(test.want, test.last) {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("no %q in\n%s", want, rest)
				}
				rest = after
			}
			if rest != "" {
				t.Errorf("after the last line: %q", rest)
			}
		})
	}
}

func TestReadRefusesWhatIsNoEvent(t *testing.T) {
	if err := newReport(new(strings.Builder)).read(strings.NewReader(`{"Action":"start"} oops`)); err == nil {
		t.Error("no error")
	}
}

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		line      string
		env, args []string
	}{
		{"./...", nil, []string{"./..."}},
		{" -race  ./a ", nil, []string{"-race", "./a"}},
		{"CGO_ENABLED=0 GOFLAGS=-trimpath -tags=poison A=b", []string{"CGO_ENABLED=0", "GOFLAGS=-trimpath"}, []string{"-tags=poison", "A=b"}},
	} {
		if env, args := split(test.line); !slices.Equal(env, test.env) || !slices.Equal(args, test.args) {
			t.Errorf("%q: environment %q, words %q", test.line, env, args)
		}
	}
}

// A go test that can't even begin counts as a failure.
func TestRunOfNothing(t *testing.T) {
	var stdout, stderr strings.Builder
	if run([]string{"-nosuchflag ./..."}, &stdout, &stderr) {
		t.Error("a run that failed was taken for a good one")
	}
	if want := "0 passed, 1 failed, 0 skipped\n"; !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("the output ends with %q, want %q", stdout.String(), want)
	}
}
