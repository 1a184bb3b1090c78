package contract

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// many writes a document of n operations, with parameters, a body and a schema of its own
// for every fourth, as large platforms have them.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.1.0","info":{"title":"many","version":"1"},"paths":{`)
	schemas := ""
	for i := range (n + 3) / 4 {
		if i > 0 {
			b.WriteString(",")
		}
		name := fmt.Sprintf("Thing%d", i)
		id := `{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}`
		answers := fmt.Sprintf(`"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/%s"}}}},"default":{"$ref":"#/components/responses/Error"}}`, name)
		body := fmt.Sprintf(`"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/%s"}}}}`, name)
		fmt.Fprintf(&b, `"/things%d":{"get":{"parameters":[{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100}},{"$ref":"#/components/parameters/Page"}],%s},"post":{%s,%s}},`, i, answers, body, answers)
		fmt.Fprintf(&b, `"/things%d/{id}":{"parameters":[%s],"get":{%s},"put":{%s,%s}}`, i, id, answers, body, answers)
		schemas += fmt.Sprintf(`,"%s":{"type":"object","required":["name","state"],"properties":{"id":{"type":"integer","readOnly":true},"name":{"type":"string","maxLength":%d},"state":{"enum":["on","off"]},"at":{"type":"string","format":"date-time"},"price":{"type":"number","minimum":0.01},"tags":{"type":"array","items":{"type":"string"},"maxItems":20},"next":{"$ref":"#/components/schemas/Thing%d"},"owner":{"$ref":"#/components/schemas/Owner"}}}`, name, 100+i, (i+1)%((n+3)/4))
	}
	fmt.Fprintf(&b, `},"components":{"parameters":{"Page":{"name":"page","in":"query","schema":{"type":"integer"}}},"responses":{"Error":{"description":"e","content":{"application/json":{"schema":{"type":"object","required":["error"]}}}}},"schemas":{"Owner":{"type":"object","required":["mail"],"properties":{"mail":{"type":"string","format":"email"},"id":{"type":"string","format":"uuid"}}}%s}}}`, schemas)
	return b.String()
}

func bigDocument(t testing.TB, n int) *openapi.Document {
	d, err := openapi.Parse("many.json", []byte(many(n)), openapi.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const small300 = `{"name":"A thing of some length for the desk","state":"on","at":"2026-01-31T13:45:00.123Z","price":12.50,"tags":["red","green","blue"],"owner":{"mail":"ann.example@mail.example.com","id":"12345678-1234-1234-1234-123456789abc"},"next":{"name":"Another thing, which follows","state":"off","tags":[]}}`

// large10k is about 10 KB.
func large10k() string {
	tags := strings.Repeat(`"a tag with text",`, 19) + `"end"`
	one := `{"name":"A thing of some length","state":"on","price":12.50,"tags":[` + tags + `],"owner":{"mail":"ann.example@mail.example.com"}`
	body := one
	for range 19 {
		body += `,"next":` + one
	}
	return body + strings.Repeat("}", 20)
}

func TestManyOperations(t *testing.T) {
	d := bigDocument(t, 10_000)
	before := heap()
	start := time.Now()
	c, problems := Compile(d)
	took := time.Since(start)
	used := heap() - before
	if len(problems) > 0 || len(c.Operations()) != 10_000 {
		t.Fatalf("%d operations, %v", len(c.Operations()), problems)
	}
	t.Logf("compiled in %v, %d KB", took, used>>10)
	if took > 2*time.Second && !raceDetector {
		t.Errorf("took %v", took)
	}
	o, _ := c.Match("PUT", "/things2499/7")
	start = time.Now()
	list := o.CheckRequest(request("PUT", "/things2499/7", "", `{"state":1}`, "Content-Type", "application/json"), "/things2499/7", []byte(`{"state":1}`))
	t.Logf("the library's first answer took %v: %s", time.Since(start), said(list))
	if len(list) != 2 {
		t.Error(said(list))
	}
	runtime.KeepAlive(d)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	c := compile(t, desk)
	big, _ := Compile(bigDocument(t, 100))
	tests := []struct {
		name string
		c    *Contract
		x    *exchange.Exchange
		body string
	}{
		{"no body", c, request("GET", "/v1/tickets", "limit=10&status=open,closed&tag=a&tag=b&since=2026-01-31T13:45:00Z", "", "X-Tenant", "acme", "Cookie", "session=abcdef"), ""},
		{"path", c, request("GET", "/v1/tickets/7/comments/12345678-1234-1234-1234-123456789abc", "", ""), ""},
		{"300 bytes", big, request("POST", "/things3", "", small300, "Content-Type", "application/json"), small300},
		{"10 KB", big, request("POST", "/things3", "", large10k(), "Content-Type", "application/json"), large10k()},
	}
	for _, tt := range tests {
		o, _ := tt.c.Match(tt.x.Method, tt.x.Path)
		body := bytesOf(tt.body)
		if n := testing.AllocsPerRun(200, func() {
			if o, _ = tt.c.Match(tt.x.Method, tt.x.Path); o == nil {
				t.Fatal("no operation")
			}
			if !o.RequestPasses(tt.x, tt.x.Path, body) {
				t.Fatal("does not pass at a glance")
			}
			if v := o.CheckRequest(tt.x, tt.x.Path, body); v != nil {
				t.Fatal(said(v))
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		c, _ := Compile(bigDocument(b, n))
		for _, path := range []string{"/things1/4711", "/things1"} {
			b.Run(fmt.Sprintf("operations=%d/path=%d", n, strings.Count(path, "/")), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if o, _ := c.Match("GET", path); o == nil {
						b.Fatal("no operation")
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		d := bigDocument(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Compile(d)
			}
		})
	}
}

func BenchmarkCheckRequest(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		c, _ := Compile(bigDocument(b, n))
		for _, tt := range []struct{ name, method, path, query, body string }{
			{"nobody", "GET", "/things1", "limit=10&page=3", ""},
			{"300B", "POST", "/things1", "", small300},
			{"10KB", "POST", "/things1", "", large10k()},
			{"bad300B", "POST", "/things1", "", strings.Replace(small300, `"on"`, `"no"`, 1)},
		} {
			x := request(tt.method, tt.path, tt.query, tt.body, "Content-Type", "application/json")
			body := bytesOf(tt.body)
			b.Run(fmt.Sprintf("operations=%d/%s", n, tt.name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					o, _ := c.Match(tt.method, tt.path)
					if !o.RequestPasses(x, tt.path, body) {
						o.CheckRequest(x, tt.path, body)
					}
				}
			})
		}
	}
}

// What the library takes for the same bodies.
func BenchmarkLibrary(b *testing.B) {
	c, _ := Compile(bigDocument(b, 10))
	o, _ := c.Match("POST", "/things1")
	for name, body := range map[string]string{"300B": small300, "10KB": large10k()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if v := slow(o.body.media[0].check, body); v != nil {
					b.Fatal(said(v))
				}
			}
		})
	}
}
