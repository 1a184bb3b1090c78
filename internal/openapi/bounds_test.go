package openapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"yett/internal/problem"
)

// times writes n values in a row, in which %d is the number of each.
func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(format, "%d", itoa(i)))
	}
	return b.String()
}

// document31 is a document of paths, with more members.
func document31(paths, more string) string {
	return `{"openapi":"3.1.0","info":{"title":"a","version":"1"},"paths":{` + paths + `}` + more + `}`
}

func get(operation string) string { return `"/a":{"get":{` + operation + `}}` }

// heirs are schemas with a discriminator, each of which extends the one before it.
func heirs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"h%d":{"discriminator":{"propertyName":"k"},"allOf":[{"$ref":"#/components/schemas/h%d"}]}`, i, i-1)
	}
	return b.String()
}

// bombs make documents of that many of something that is bounded.
var bombs = []struct {
	name         string
	fits, refuse int
	make         func(n int) string
	want         string
}{
	{"long URL of a server", maxServer, maxServer + 1, func(n int) string {
		return document31("", `,"servers":[{"url":"/"},{"url":"`+strings.Repeat("a", n)+`"}]`)
	}, "#/servers/1: the URL of the server is longer than 2KB"},
	{"variables of a server", 100, 101, func(n int) string {
		return document31("", `,"servers":[{"url":"/","variables":{`+times(n, `"v%d":{"default":"x"}`)+`}}]`)
	}, "#/servers/0: the server has more than 100 variables"},
	{"long default", 100, 3000, func(n int) string {
		return document31(get(`"servers":[{"url":"/{v}","variables":{"v":{"default":"`+strings.Repeat("a", n)+`"}}}]`), "")
	}, "#/paths/~1a/get/servers/0: the URL of the server with the defaults of its variables is longer than 2KB"},
	{"parameters of an operation", 500, 100_000, func(n int) string {
		return document31(get(`"parameters":[`+times(n, `{"name":"p%d","in":"query"}`)+`]`), "")
	}, "#/paths/~1a/get/parameters: the operation and its path have more than 500 parameters"},
	{"parameters of both", 499, 500, func(n int) string {
		return document31(`"/a":{"parameters":[{"name":"q","in":"query"}],"get":{"parameters":[`+times(n, `{"name":"p%d","in":"query"}`)+`]}}`, "")
	}, "#/paths/~1a/get/parameters: the operation and its path have more than 500 parameters"},
	{"parameters of a path", 500, 501, func(n int) string {
		return document31("", `,"components":{"pathItems":{"P":{"parameters":[`+times(n, `{"name":"p%d","in":"query"}`)+`]}}}`)
	}, "#/components/pathItems/P/parameters: the path has more than 500 parameters"},
	{"a path item of many paths", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"$ref":"#/components/pathItems/P"}`), `,"components":{"pathItems":{"P":{"parameters":[`+times(100, `{"name":"p%d","in":"query","schema":{}}`)+`],"get":{}}}}`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"members of a path item of many paths", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"$ref":"#/components/pathItems/P"}`), `,"components":{"pathItems":{"P":{`+times(500, `"x-%d":1`)+`}}}`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"a parameter of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{"parameters":[{"$ref":"#/components/parameters/P"}]}}`), `,"components":{"parameters":{"P":{"name":"p","in":"query","x-a":[`+times(500, "1")+`]}}}`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"a body of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"post":{"requestBody":{"$ref":"#/components/requestBodies/B"}}}`), `,"components":{"requestBodies":{"B":{"content":{`+times(300, `"a/b%d":{}`)+`,"x-c/d":{"x-a":[`+times(200, "1")+`]}}}}}`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"a server of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"$ref":"#/components/pathItems/P"}`), `,"components":{"pathItems":{"P":{"servers":[{"url":"/`+strings.Repeat("a", 1000)+`"}],"get":{}}}}`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"an answer of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/R"},"404":{"$ref":"#/components/responses/R"}}}}`), `,"components":{"responses":{"R":{"description":"a","headers":{`+times(150, `"X-%d":{"schema":{}}`)+`}}}}`)
	}, "the responses of all operations have more than 2000000 values (of 64 bytes) together"},
	{"a long text of many answers", 10, 500, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/R"}}}}`), `,"components":{"responses":{"R":{"description":"`+strings.Repeat("a", 1<<20)+`"}}}`)
	}, "the responses of all operations have more than 2000000 values (of 64 bytes) together"},
	{"a long name in security", 10, 500, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{}}`), `,"security":[{"k":["`+strings.Repeat("a", 1<<20)+`"]}]`)
	}, "the operations have more than 2000000 values (of 64 bytes) together"},
	{"long names of heirs", 10, 1500, func(n int) string {
		return document31("", `,"components":{"schemas":{"X":{"allOf":[`+times(50, `{"$ref":"#/components/schemas/b%d"}`)+`]},`+times(50, `"b%d":{"discriminator":{"propertyName":"k"}}`)+`,`+times(n, `"h`+strings.Repeat("a", 1000)+`%d":{"allOf":[{"$ref":"#/components/schemas/X"}]}`)+`}}`)
	}, "the discriminators choose from more than 100000 schemas together"},
	{"operationId", 1000, 1001, func(n int) string {
		return document31(get(`"operationId":"`+strings.Repeat("a", n)+`"`), "")
	}, "#/paths/~1a/get/operationId: the operationId is longer than 1000 bytes"},
	{"links of an answer of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/R"}}}}`), `,"components":{"responses":{"R":{"description":"a","links":{"a":{"$ref":"#/components/links/L"}}}},"links":{"L":{"parameters":{`+times(500, `"p%d":1`)+`}}}}`)
	}, "the responses of all operations have more than 2000000 values (of 64 bytes) together"},
	{"heirs in an answer of many operations", 100, 5000, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/R"}}}}`), `,"components":{"responses":{"R":{"description":"a","content":{"a/b":{"schema":{"discriminator":{"propertyName":"k"}}}}}},"schemas":{`+times(500, `"H%d":{"allOf":[{"$ref":"#/components/responses/R/content/a~1b/schema"}]}`)+`}}`)
	}, "the responses of all operations have more than 2000000 values (of 64 bytes) together"},
	{"headers of an answer", 200, 201, func(n int) string {
		return document31(get(`"responses":{"200":{"description":"a","headers":{`+times(n, `"X-%d":{}`)+`}}}`), "")
	}, "#/paths/~1a/get/responses/200/headers: the response has more than 200 headers"},
	{"answers of an operation", 200, 201, func(n int) string {
		return document31(get(`"responses":{`+times(n, `"1%d":{"description":"a"}`)+`}`), "")
	}, "#/paths/~1a/get/responses: the operation has more than 200 responses"},
	{"tags of an operation", 100, 101, func(n int) string {
		return document31(get(`"tags":[`+times(n, `"t%d"`)+`]`), "")
	}, "#/paths/~1a/get/tags: the operation has more than 100 tags"},
	{"alternatives", 100, 20_000, func(n int) string {
		return document31(get(""), `,"security":[`+times(n, `{"k%d":[]}`)+`]`)
	}, "#/security: there are more than 100 alternatives"},
	{"names in an alternative", 100, 101, func(n int) string {
		return document31(get(`"security":[{},{`+times(n, `"k%d":[]`)+`}]`), "")
	}, "#/paths/~1a/get/security/1: more than 100 names"},
	{"alternatives of many operations", 100, 2000, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{}}`), `,"security":[`+times(60, `{"k%d":[]}`)+`]`)
	}, "#/paths/~1p1388: the operations have too many alternatives of security together"},
	{"heirs of many", 100, 6000, func(n int) string {
		return document31("", `,"components":{"schemas":{"X":{"allOf":[`+times(n, `{"$ref":"#/components/schemas/b%d"}`)+`]},`+times(n, `"b%d":{"discriminator":{"propertyName":"k"}},"h%d":{"allOf":[{"$ref":"#/components/schemas/X"}]}`)+`}}`)
	}, "#/components/schemas/b16/discriminator: the discriminators choose from more than 100000 schemas together"},
	{"heirs behind one another", 300, 1000, func(n int) string {
		return document31("", `,"components":{"schemas":{"h-1":{}`+heirs(n)+`}}`)
	}, "the discriminators choose from more than 100000 schemas together"},
	{"regular expressions", 100, 20_000, func(n int) string {
		return schemas31(`{"A":{"patternProperties":{` + times(n, `"^(a?){1000}%d$":{}`) + `}}}`)
	}, "the regular expressions of the document take more than 1000000 instructions together"},
	{"regular expressions of JavaScript", 100, 20_000, func(n int) string {
		return schemas31(`{` + times(n, `"A%d":{"pattern":"^(\\u0061?){1000}%d$"}`) + `}`)
	}, "the regular expressions of the document take more than 1000000 instructions together"},
	{"large classes", 30, 400, func(n int) string {
		return schemas31(`{` + times(n, `"A%d":{"pattern":"`+strings.Repeat(`\\pL`, 30)+`%d"}`) + `}`)
	}, "the regular expressions of the document take more than 1000000 instructions together"},
	{"a long regular expression", 10_000, 10_001, func(n int) string {
		return schemas31(`{"A":{"properties":{"a":{"pattern":"` + strings.Repeat("a", n) + `"}}}}`)
	}, "#/components/schemas/A/properties/a/pattern: a regular expression is longer than 10000 bytes"},
	{"operations", 50_000, 50_001, func(n int) string {
		return document31(times(n, `"/p%d":{"get":{}}`), "")
	}, "there are more than 50000 operations"},
	{"long paths", 10, 30, func(n int) string {
		return document31(times(n, `"/`+strings.Repeat("a", 300_000)+`%d":{"get":{},"put":{},"post":{},"delete":{},"options":{},"head":{},"patch":{},"trace":{}}`), "")
	}, "the paths of all operations take more than 64MB together"},
}

// What fits is taken, and more than that is refused, in no time, with a place and a remedy.
func TestBounds(t *testing.T) {
	if raceDetector {
		t.Skip("there is one goroutine, and the time of the detector tells nothing")
	}
	for _, tt := range bombs {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("a.json", []byte(tt.make(tt.fits)), Limits{}); err != nil {
				t.Errorf("%d: %.300v", tt.fits, err)
			}
			text := tt.make(tt.refuse)
			at := cpuTime()
			_, err := Parse("a.json", []byte(text), Limits{})
			took := cpuTime() - at
			var problems problem.List
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%.300v, want %s", err, tt.want)
			}
			if p := problems[0]; p.File != "a.json" || p.Line == 0 || !strings.HasPrefix(p.Path, "#/") || p.Hint == "" {
				t.Errorf("%+v", p)
			}
			if len(text) > 10<<20 || took > 10*time.Second {
				t.Errorf("%d bytes took %s", len(text), took)
			}
			if d, _, err := Read("a.json", []byte(text), Limits{}); d != nil || err == nil {
				t.Error("Read takes it")
			}
		})
	}
}

// Nobody has to look for what is missing in a document that is refused for that anyhow.
func TestBoundsOfWhatIsBroken(t *testing.T) {
	if raceDetector {
		t.Skip("there is one goroutine, and the time of the detector tells nothing")
	}
	const refs = `"/p%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/R"}},"parameters":[{"$ref":"#/no"}]}}`
	_, broken, err := Read("a.json", []byte(document31(times(10, refs), `,"components":{"responses":{"R":{"$ref":"#/components/responses/R"}}}`)), Limits{})
	if err != nil || len(broken.Problems) == 0 || !broken.Endless {
		t.Errorf("%v %+v", err, broken)
	}
	at := cpuTime()
	if _, err := Parse("a.json", []byte(document31(times(40_000, strings.ReplaceAll(refs, "#/no", "#/components/parameters/no")), `,"components":{"responses":{"R":{}},"parameters":{`+times(100_000, `"p%d":{}`)+`}}`)), Limits{}); err == nil {
		t.Error("it is taken")
	}
	if took := cpuTime() - at; took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// Variables are substituted once: what stands in a default is a text.
func TestServerVariables(t *testing.T) {
	chain := ""
	for i := range 40 {
		chain += fmt.Sprintf(`"v%d":{"default":"{v%d}{v%d}"},`, i, i+1, i+1)
	}
	for _, tt := range []struct{ url, variables, want string }{
		{"/{a}/{b}/{a}", `"a":{"default":"x"},"b":{"default":"y"}`, "/x/y/x"},
		{"/{a}/{b}", `"a":{"default":"{b}"},"b":{"default":"{a}"}`, "/%7Bb%7D/%7Ba%7D"},
		{"/{none}/{a}", `"a":{"default":"x"}`, "/%7Bnone%7D/x"},
		{"/{{a}}/a}{a", `"a":{"default":"x"}`, "/%7Bx%7D/a%7D%7Ba"},
		{"https://{host}/v{a}/", `"a":{},"host":{"default":"h"}`, "/v"},
		{"/{v0}", chain + `"v40":{"default":"x"}`, "/%7Bv1%7D%7Bv1%7D"},
	} {
		d, err := Parse("a.json", []byte(document31("", `,"servers":[{"url":"`+tt.url+`","variables":{`+tt.variables+`}}]`)), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.BasePath(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}

// Of parameters of the same name and place the operation's counts, and the first.
func TestParameters(t *testing.T) {
	d, err := Parse("a.json", []byte(document31(`"/a":{"parameters":[{"name":"a","in":"query","description":"1"},{"name":"b","in":"query","description":"2"},{"name":"a","in":"header","description":"3"}],
		"get":{"parameters":[{"name":"b","in":"query","description":"4"},{"$ref":"#/components/parameters/C"},{"name":"b","in":"query","description":"5"}]}}`,
		`,"components":{"parameters":{"C":{"name":"c","in":"query","description":"6"}}}`)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, p := range d.Parameters(&d.Operations()[0]) {
		got += p.Str("description")
	}
	if got != "4613" {
		t.Error(got)
	}
}

// What a pattern is said to take is near to what it takes.
func TestInstructions(t *testing.T) {
	for pattern, want := range map[string]int{
		"abc": 3, "a{1000}": 1000, "(a?){1000}": 4000, "((a{10}){10}){10}": 1000, "a{2,}": 4, `\u0061{100}`: 100, `\\u0061{100}`: 105, "(?!a)": 0, "[": 0,
	} {
		if got := instructions(pattern); got < want || got > want*3/2+5 {
			t.Errorf("%s: %d, want %d", pattern, got, want)
		}
	}
}
