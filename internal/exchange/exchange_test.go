package exchange

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
)

func TestBytesStayApart(t *testing.T) {
	var pool Pool
	x := pool.Get()
	var views []string
	for i := range 400 {
		s := fmt.Sprintf("%d:%0*d", i, i, i)
		views = append(views, x.Keep([]byte(s)))
		if b := x.Bytes(3); len(b) != 3 || cap(b) != 3 {
			t.Fatalf("Bytes(3) has length %d, capacity %d", len(b), cap(b))
		}
	}
	for i, v := range views {
		if want := fmt.Sprintf("%d:%0*d", i, i, i); v != want {
			t.Fatalf("view %d became %q", i, v)
		}
	}
	if len(x.Bytes(0)) != 0 || x.Keep(nil) != "" {
		t.Error("nothing is not nothing")
	}
}

// A refusal that is only observed leaves nothing but its note, and the notes
// end with the exchange.
func TestObserve(t *testing.T) {
	var pool Pool
	x := pool.Get()
	if len(x.Observed()) != 0 {
		t.Errorf("observed %v", x.Observed())
	}
	for _, r := range []*Reason{NoRoute, BadPath} {
		x.Challenge, x.RetryAfter = "Bearer", 7
		x.RefuseWith(r, "because of "+r.Name)
		x.Observe()
		if x.Reason != nil || x.Status != 0 || x.Detail != "" || x.Challenge != "" || x.RetryAfter != 0 {
			t.Errorf("left: %v %d %q %q %d", x.Reason, x.Status, x.Detail, x.Challenge, x.RetryAfter)
		}
	}
	want := []Observation{{NoRoute, "because of no_route"}, {BadPath, "because of bad_path"}}
	if got := x.Observed(); !reflect.DeepEqual(got, want) {
		t.Errorf("observed %v", got)
	}
	notes := x.Observed()
	pool.Put(x)
	if notes[0] != (Observation{}) || notes[1] != (Observation{}) {
		t.Error("the notes hold on to what they were about")
	}
	if x.Refuse(NoRoute); len(x.Observed()) != 0 {
		t.Error("the next exchange starts with notes")
	}
}

// counted is a Releaser, a Canceler and a stop function that counts.
type counted struct{ n atomic.Int32 }

func (c *counted) Release() { c.n.Add(1) }
func (c *counted) Cancel()  { c.n.Add(1) }

// TestPutLeavesNothing fills every field that can be set, and compares what
// comes back from the pool to a new Exchange.
func TestPutLeavesNothing(t *testing.T) {
	var held, cancelled counted
	var pool Pool
	x := pool.Get()
	fill(reflect.ValueOf(x).Elem())
	x.Request.Add("A", "b")
	x.Response.Add("A", "b")
	x.RequestTrailer.Add("A", "b")
	x.ResponseTrailer.Add("A", "b")
	x.RequestBody.SetBytes([]byte("a"))
	x.AddParam("a", "b")
	x.Slot(3).Any = x
	x.SetRan(4)
	x.Hold(&held)
	x.Hold(&held)
	x.Watch(&cancelled)
	x.Keep(make([]byte, 2000))
	x.Observe()
	ctx := x.Context()
	x.Abort(ClientGone)
	x.reset()
	if held.n.Load() != 2 || cancelled.n.Load() != 1 {
		t.Errorf("released %d times, cancelled %d times", held.n.Load(), cancelled.n.Load())
	}
	if ctx.Err() == nil {
		t.Error("the context goes on after the exchange")
	}
	if x.Request.Len()+x.Response.Len()+x.RequestTrailer.Len()+x.ResponseTrailer.Len() != 0 {
		t.Error("fields are left")
	}
	if len(x.held) != 0 || len(x.observed) != 0 || len(x.arena) != 0 || x.Aborted() != nil || x.Context().Err() != nil {
		t.Error("buffers, memory or the abort are left")
	}
	x.stop()
	x.Request, x.Response, x.RequestTrailer, x.ResponseTrailer = Header{}, Header{}, Header{}, Header{}
	x.arena, x.held, x.observed, x.ctx, x.stop = nil, nil, nil, nil, nil
	if *x.params != [MaxParams]Param{} || *x.slots != [MaxLinks]Slot{} {
		t.Error("path values or notes of policies are left")
	}
	x.params, x.slots = nil, nil
	if !reflect.ValueOf(x).Elem().IsZero() {
		t.Errorf("not empty: %+v", x)
	}
}

// fill sets every exported string, number and flag.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Uint8:
			f.SetUint(1)
		case reflect.Struct:
			if f.Type() != reflect.TypeFor[Header]() && f.Type() != reflect.TypeFor[Body]() {
				fill(f)
			}
		}
	}
}

func TestLargeMemoryIsNotKept(t *testing.T) {
	var pool Pool
	x := pool.Get()
	x.Bytes(keepArena + 1)
	x.reset()
	if cap(x.arena) > keepArena {
		t.Errorf("%d bytes are kept", cap(x.arena))
	}
}

func TestParams(t *testing.T) {
	var pool Pool
	x := pool.Get()
	for i := range MaxParams + 1 {
		x.AddParam(fmt.Sprint(i), fmt.Sprint("v", i))
	}
	if len(x.Params()) != MaxParams || x.Param("0") != "v0" || x.Param("7") != "v7" || x.Param("8") != "" {
		t.Errorf("params are %v", x.Params())
	}
	x.ResetParams()
	if len(x.Params()) != 0 || x.Param("0") != "" {
		t.Errorf("after ResetParams: %v", x.Params())
	}
}

func TestRefuse(t *testing.T) {
	var pool Pool
	x := pool.Get()
	if x.RefuseWith(NoRoute, "why") != Reply || x.Reason != NoRoute || x.Status != 404 || x.Detail != "why" {
		t.Errorf("%v, %d, %q", x.Reason, x.Status, x.Detail)
	}
}

func TestAbort(t *testing.T) {
	var pool Pool
	x := pool.Get()
	if x.Aborted() != nil || x.Context().Err() != nil {
		t.Fatal("a new exchange is aborted")
	}
	var first, second counted
	if r := x.Watch(&first); r != nil {
		t.Fatal(r)
	}
	x.Abort(ClientGone)
	x.Abort(ShuttingDown) // the first reason stays
	if x.Aborted() != ClientGone || first.n.Load() != 1 || x.Context().Err() != context.Canceled {
		t.Errorf("%v, cancelled %d times, context %v", x.Aborted(), first.n.Load(), x.Context().Err())
	}
	if r := x.Watch(&second); r != ClientGone || second.n.Load() != 0 {
		t.Errorf("a call begun afterwards: %v, cancelled %d times", r, second.n.Load())
	}

	x = pool.Get()
	x.Watch(&second)
	x.Watch(nil)
	x.Abort(ClientGone)
	if second.n.Load() != 0 {
		t.Error("a call that has ended was cancelled")
	}
	if x.Context().Err() == nil {
		t.Error("a context made after the abort goes on")
	}
}

// TestAbortRaces has an upstream call begin and end while somebody else gives
// the exchange up: either the call is told when it begins, or it is cancelled.
func TestAbortRaces(t *testing.T) {
	var pool Pool
	for range 300 {
		x := pool.Get()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { x.Abort(ClientGone) })
		}
		wg.Go(func() {
			if x.Context() == nil {
				t.Error("no context")
			}
		})
		var call counted
		told := x.Watch(&call)
		wg.Wait()
		if aborted := x.Watch(nil); aborted != ClientGone || told == nil && call.n.Load() != 1 || told != nil && call.n.Load() != 0 {
			t.Fatalf("told %v, cancelled %d times, in the end %v", told, call.n.Load(), aborted)
		}
		<-x.Context().Done()
		pool.Put(x)
	}
}

func TestReasonsAreDistinct(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Reasons() {
		if names[r.Name] || r.Name == "" || r.Code == "" || r.Status < 400 || r.Message == "" || r.Help == "" {
			t.Errorf("%+v is incomplete or there twice", r)
		}
		names[r.Name] = true
		for _, c := range r.Code + r.Message {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				t.Errorf("%s: %q would have to be escaped in the error shape", r.Name, c)
			}
		}
	}
}

// BenchmarkPut has an exchange used as a plain request uses it, and released.
func BenchmarkPut(b *testing.B) {
	var pool Pool
	for b.Loop() {
		x := pool.Get()
		for range 8 {
			x.Request.AddField(Field{Name: "name", Value: "value"})
		}
		for range 5 {
			x.Response.AddField(Field{Name: "name", Value: "value"})
		}
		x.Bytes(16)
		pool.Put(x)
	}
}
