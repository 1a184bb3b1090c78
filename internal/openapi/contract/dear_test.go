package contract

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quotedList writes n texts, or objects of one, as JSON.
func quotedList(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ","+format, i)
	}
	return "[" + b.String()[1:] + "]"
}

// dear are ordinary schemas, and bodies that make the most of them.
var dear = []struct{ name, schema, body, want string }{
	{"required 20", `{"type":"array","items":{"type":"object","required":` + quotedList(20, `"n%d"`) + `}}`, emptyObjects(98_000), "/0/n0 is missing"},
	{"required 100", `{"type":"array","items":{"type":"object","required":` + quotedList(100, `"n%d"`) + `}}`, emptyObjects(98_000), "/0/n0 is missing"},
	{"required 2000", `{"type":"array","items":{"type":"object","required":` + quotedList(2000, `"n%d"`) + `}}`, emptyObjects(98_000), "/0/n0 is missing"},
	{"required 2000, alternatives", `{"anyOf":[{"type":"array","items":{"required":` + quotedList(2000, `"n%d"`) + `}},{"type":"array","maxItems":2}]}`, emptyObjects(90_000), "is too large"},
	{"alternatives of items", `{"anyOf":[{"type":"array","items":{"required":["a"]}},{"type":"array","maxItems":2},{"type":"array","items":{"required":["b"]}}]}`, emptyObjects(12_000), "is too far from what is documented to say more"},
	{"alternatives of small objects", `{"anyOf":[{"type":"array","items":{"required":["b"]}},{"type":"array","maxItems":2}]}`, "[" + strings.Repeat(`{"a":1},`, 45_000) + `{}]`, "holds more values than can be checked"},
	{"unique objects", `{"type":"array","uniqueItems":true,"items":{"type":"object","required":` + quotedList(20, `"n%d"`) + `}}`, emptyObjects(60_000), "/0/n0 is missing"},
	{"unique numbers", `{"type":"array","uniqueItems":true}`, strings.TrimSuffix(quotedList(150_000, "%d"), "]") + ",7.0]", "has the same item"},
	{"small objects", `{"type":"array","items":{"type":"object","required":["b"]}}`, "[" + strings.Repeat(`{"a":1},`, 125_000) + `{}]`, "/0/b is missing"},
	{"last item wrong", `{"type":"array","items":{"type":"object","required":["a"]}}`, "[" + strings.Repeat(`{"a":1},`, 125_000) + `{}]`, "/125000/a is missing"},
	{"last of pieces wrong", `{"type":"array","items":{"type":"array","uniqueItems":true}}`, "[" + strings.Repeat(`[1],`, 60_000) + `[1,1]]`, "/60000 has the same item"},
	{"all texts wrong", `{"type":"array","items":{"type":"integer"}}`, "[" + strings.Repeat(`"q",`, 250_000) + `"q"]`, "/0 has to be a whole number"},
	{"pattern with many steps", `{"type":"string","pattern":"(x|y){1000}$"}`, `"` + strings.Repeat("x", 1<<20) + `z"`, "is too long to be checked"},
	{"pattern with nested steps", `{"type":"string","pattern":"(.?x.?){300}z"}`, `"` + strings.Repeat("x", 1<<20) + `"`, "is too long to be checked"},
	{"pattern that begins anywhere", `{"type":"string","pattern":"[a-z]{900}[0-9]"}`, `"` + strings.Repeat("x", 1<<20) + `"`, "is too long to be checked"},
	{"many texts of a pattern", `{"type":"array","items":{"type":"string","pattern":"[a-z]{900}[0-9]"}}`, "[" + strings.Repeat(`"`+strings.Repeat("x", 500)+`",`, 2000) + `"x"]`, "/0 does not match"},
	{"many texts of a pattern that fits", `{"type":"array","items":{"type":"string","pattern":"[a-z]{90}"}}`, "[" + strings.Repeat(`"`+strings.Repeat("x", 1000)+`",`, 1000) + `1]`, "is too long to be checked"},
	{"as many steps as may be", `{"type":"array","items":{"type":"string","pattern":"(x|y){1000}$"}}`, `["` + strings.Repeat("x", 700) + `z"]`, "/0 does not match"},
	{"as many steps as may be, NFA", `{"type":"array","items":{"type":"string","pattern":"[a-z]{90}[0-9]"}}`, `["` + strings.Repeat("x", 15_000) + `"]`, "/0 does not match"},
	{"names of a pattern", `{"type":"object","patternProperties":{"(x|y){1000}$":true}}`, `{"` + strings.Repeat("x", 1<<20) + `z":1}`, "is too long to be checked"},
	{"enum of texts", `{"type":"array","items":{"enum":` + quotedList(20_000, `"value %d"`) + `}}`, "[" + strings.Repeat(`"q",`, 99_000) + `"q"]`, "/0 has to be one of"},
	{"enum of texts, fitting", `{"type":"array","items":{"enum":` + quotedList(20_000, `"value %d"`) + `}}`, "[" + strings.Repeat(`"value 19999",`, 80_000) + `"q"]`, "/80000 has to be one of"},
	{"enum of texts, escaped", `{"type":"array","items":{"enum":` + quotedList(20_000, `"value %d"`) + `}}`, "[" + strings.Repeat(`"valu\u0065 19999",`, 55_000) + `"q"]`, "/55000 has to be one of"},
	{"enum of objects", `{"type":"array","items":{"enum":` + quotedList(5_000, `{"a":%d}`) + `}}`, "[" + strings.Repeat(`{"a":5e3},`, 19_000) + `{}]`, "/0 has to be one of"},
	{"enum of objects, fitting", `{"type":"array","items":{"enum":` + quotedList(5_000, `{"a":%d}`) + `}}`, "[" + strings.Repeat(`{"a":49990e-1},`, 19_000) + `{}]`, "/19000 has to be one of"},
	{"dependents", `{"type":"array","items":{"dependentRequired":` + dependsOn(2000) + `}}`, emptyObjects(49_000), ""},
	{"dependents, missing", `{"type":"array","items":{"dependentRequired":` + dependsOn(2000) + `}}`, "[" + strings.Repeat(`{"n7":1},`, 49_000) + `{}]`, "/0/m7 is missing"},
	{"all of everything", `{"$ref":"#/components/schemas/Node"}`, strings.Repeat(`{"a":`, 99) + `{}` + strings.Repeat("}", 99), "/a/b is missing"},
	{"too many reads", `{"allOf":[` + strings.Repeat(`{"items":{"required":["a"]}},`, 200) + `{"minItems":1}]}`, "[" + strings.Repeat(`{"a":1},`, 125_000) + `{"a":1}]`, "is too large"},
}

const dearNode = `{"type":"object","allOf":[{"properties":{"a":{"$ref":"#/components/schemas/Node"}}},{"anyOf":[{"required":["a"]},true]},{"properties":{"a":{"$ref":"#/components/schemas/Node"}}}],"required":["b"]}`

func emptyObjects(n int) string { return "[" + strings.Repeat("{},", n-1) + "{}]" }

func dependsOn(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"n` + strconv.Itoa(i) + `":["m` + strconv.Itoa(i) + `"]`)
	}
	return "{" + b.String()[1:] + "}"
}

// peak returns how many bytes of memory at most are in use because of something.
func peak(do func()) (bytes int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // what is in use, not what waits for the collector
	runtime.GC()
	used := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(used)
	before, most := used[0].Value.Uint64(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				metrics.Read(used)
				most = max(most, used[0].Value.Uint64())
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	do()
	close(stop)
	<-stopped
	metrics.Read(used)
	return int64(max(most, used[0].Value.Uint64()) - before)
}

// processorTime returns how long the process has been at work, which says more than the clock
// where many share the cores.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// No body against an ordinary schema takes much time or memory.
func TestDearBodies(t *testing.T) {
	if raceDetector {
		t.Skip("there is one goroutine, and neither time nor memory tell anything")
	}
	for _, tt := range dear {
		c := schemaCheck(t, tt.schema, dearNode, inRequest)
		var f findings
		c.text("0", &f) // the library compiles when it is needed first
		f = findings{}
		f.at("body", "")
		start := processorTime(t)
		c.text(tt.body, &f)
		took := processorTime(t) - start
		if len(f.list) > 2*MaxViolations {
			t.Errorf("%s goes on after %d", tt.name, len(f.list))
		}
		list := f.done()
		bytes := peak(func() { c.text(tt.body, new(findings)) })
		t.Logf("%-35s %4d KB: %8.1f ms, %6.1f MB, %d found", tt.name, len(tt.body)>>10, float64(took.Microseconds())/1e3, float64(bytes)/(1<<20), len(list))
		if got := said(list); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %.300s, want %s", tt.name, got, tt.want)
		}
		checkSafe(t, list)
		if most := int64(10*len(tt.body) + 8<<20); bytes > most {
			t.Errorf("%s takes %d bytes of memory for %d, the most is %d", tt.name, bytes, len(tt.body), most)
		}
		if took > time.Second { // five times of what it may take when nobody else is there
			t.Errorf("%s took %v", tt.name, took)
		}
	}
}
