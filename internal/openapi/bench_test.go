package openapi

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// bigDocument makes a document with that many operations.
func bigDocument(operations int) *Node {
	paths, schemas := NewObject(), NewObject()
	for i := range operations / 4 {
		ref := func() *Node { return NewObject("$ref", fmt.Sprintf("#/components/schemas/Thing%d", i)) }
		body := func() *Node { return NewObject("application/json", NewObject("schema", ref())) }
		item := func(path string, methods ...string) {
			operations := NewObject()
			for _, method := range methods {
				op := NewObject("operationId", fmt.Sprintf("%s%s%d", method, path, i), "summary", fmt.Sprintf("Works on the things of kind %d", i), "tags", NewStrings(fmt.Sprintf("kind%d", i%50)),
					"parameters", NewArray(NewObject("name", "page", "in", "query", "description", "Which page of the list, from 1 on", "schema", NewObject("type", "integer", "minimum", 1, "maximum", 1000))))
				if path != "" {
					op.Get("parameters").Append(NewObject("name", "id", "in", "path", "required", true, "schema", NewObject("type", "string", "format", "uuid")))
				}
				if method != "get" {
					op.Set("requestBody", NewObject("content", body()))
				}
				op.Set("responses", NewObject("200", NewObject("description", "Good", "content", body()), "404", NewObject("description", "There is no such thing")))
				operations.Set(method, op)
			}
			paths.Members = append(paths.Members, Member{Name: fmt.Sprintf("/things%d%s", i, path), Value: operations})
		}
		item("", "get", "post")
		item("/{id}", "get", "put")
		schemas.Members = append(schemas.Members, Member{Name: fmt.Sprintf("Thing%d", i), Value: NewObject("type", "object", "required", NewStrings("id", "name"), "properties", NewObject(
			"id", NewObject("type", "string", "format", "uuid"), "name", NewObject("type", NewStrings("string", "null"), "minLength", 1, "maxLength", 200, "description", "What people call it, shown in lists"),
			"state", NewObject("enum", NewStrings("new", "open", "done")), "next", NewObject("$ref", fmt.Sprintf("#/components/schemas/Thing%d", (i+1)%(operations/4))), "tags", NewObject("type", "array", "items", NewObject("type", "string"))))})
	}
	return NewObject("openapi", "3.1.0", "info", NewObject("title", "Big", "version", "1"), "paths", paths, "components", NewObject("schemas", schemas))
}

func BenchmarkParse(b *testing.B) {
	doc := bigDocument(10_000)
	for file, text := range map[string][]byte{"json": doc.AppendJSON(nil, " "), "yaml": doc.AppendYAML(nil)} {
		b.Run(file, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			at := cpuTime()
			for b.Loop() {
				if _, err := Parse("big."+file, text, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime()-at).Milliseconds())/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(kept(func() any { d, _ := Parse("big."+file, text, Limits{}); return d }))/(1<<20), "MB-kept")
		})
	}
}

// kept returns how many bytes stay in use for what f returns.
func kept(f func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func BenchmarkWrite(b *testing.B) {
	doc := bigDocument(10_000)
	for name, write := range map[string]func([]byte) []byte{"json": func(buf []byte) []byte { return doc.AppendJSON(buf, "") }, "yaml": doc.AppendYAML} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf = write(buf[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDowngrade(b *testing.B) {
	d := &Document{Version: Version31, Root: bigDocument(10_000)}
	at := cpuTime()
	for b.Loop() {
		d.Downgrade()
	}
	b.ReportMetric(float64((cpuTime()-at).Milliseconds())/float64(b.N), "cpu-ms/op")
}

func BenchmarkUpgrade(b *testing.B) {
	d := (&Document{Version: Version31, Root: bigDocument(10_000)}).Downgrade()
	for b.Loop() {
		b.StopTimer()
		c := &Document{Version: Version30, Root: d.Root.Clone()}
		b.StartTimer()
		c.Upgrade()
	}
}

// A large document has to come back as it was, by both ways, and in a time that only
// something quadratic would exceed.
func TestBig(t *testing.T) {
	operations := 4000
	if raceDetector {
		operations = 400
	}
	doc := bigDocument(operations)
	at := cpuTime()
	for file, text := range map[string][]byte{"big.json": doc.AppendJSON(nil, ""), "big.yaml": doc.AppendYAML(nil)} {
		d, err := Parse(file, text, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(d.Operations()); n != operations || !d.Root.Equal(doc) {
			t.Errorf("%s has %d operations or is not the same", file, n)
		}
		old := d.Downgrade()
		old.Upgrade()
		if n := len(old.Operations()); n != operations {
			t.Errorf("%s has %d operations after being changed", file, n)
		}
	}
	if took := cpuTime() - at; took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// cpuTime returns how long this process has computed, which tells more than a clock where
// others compute as well.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
