package tickets_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
	"yett/examples/psa/services/tickets"
)

const eventsPath = "/api/v1/tickets/events"

// event is one frame of a stream.
type event struct{ id, name, subject string }

// open opens a stream over a real connection and waits until it is listening.
func open(t *testing.T, server *httptest.Server, token string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", server.URL+eventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("status %d, Content-Type %q", response.StatusCode, got)
	}
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "retry: 3000" {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	return lines
}

// next reads one event.
func next(t *testing.T, lines *bufio.Scanner) event {
	t.Helper()
	var got event
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			got.id = value
		case "event":
			got.name = value
		case "data":
			var ticket tickets.Ticket
			if err := json.Unmarshal([]byte(value), &ticket); err != nil {
				t.Fatal(err)
			}
			got.subject = ticket.Subject
			return got
		}
	}
	t.Fatalf("the stream ended: %v", lines.Err())
	return got
}

func TestStreamTellsChangesOfVisibleTickets(t *testing.T) {
	a, b := start(t)
	customer := as(t, a.Handler, "customer_user", tenantA, "c")
	server := httptest.NewServer(a.Handler)
	t.Cleanup(server.Close) // after the streams have been closed, which it waits for
	staffLines, customerLines := open(t, server, a.Token), open(t, server, customer.Token)

	newTicket(t, b, "Of the other tenant")
	path := newTicket(t, a, "Printer")
	a.Do(t, "PATCH", path, `{"status":"lost"}`).Want(t, 400) // refused: no event
	a.Do(t, "PATCH", path, `{"subject":"Printer!"}`).Want(t, 200)
	a.Do(t, "DELETE", path, "").Want(t, 204)
	newTicket(t, customer, "Of the customer")

	for _, want := range []event{
		{"2", "ticket.created", "Printer"},
		{"3", "ticket.updated", "Printer!"},
		{"4", "ticket.deleted", "Printer!"},
		{"5", "ticket.created", "Of the customer"},
	} {
		if got := next(t, staffLines); got != want {
			t.Errorf("staff hears %+v, want %+v", got, want)
		}
	}
	if got, want := next(t, customerLines), (event{"5", "ticket.created", "Of the customer"}); got != want {
		t.Errorf("the customer hears %+v, want %+v", got, want)
	}
}

func TestStreamNeedsTenantToken(t *testing.T) {
	a, _ := start(t)
	a.Token = ""
	a.Do(t, "GET", eventsPath, "").WantError(t, 401, kit.CodeNoToken, "")
	as(t, a.Handler, "technician", "", "u").Do(t, "GET", eventsPath, "").WantError(t, 403, kit.CodeForbidden, "tenant")
}

// running is a stream within a synctest bubble.
type running struct {
	recorder *httptest.ResponseRecorder
	ended    chan struct{}
	cancel   context.CancelFunc
}

func run(t *testing.T, handler http.Handler, token string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := running{httptest.NewRecorder(), make(chan struct{}), cancel}
	request := httptest.NewRequest("GET", eventsPath, nil).WithContext(ctx)
	request.Header.Set("Authorization", "Bearer "+token)
	go func() {
		defer close(r.ended)
		handler.ServeHTTP(r.recorder, request)
	}()
	synctest.Wait()
	return r
}

func (r running) hasEnded() bool {
	synctest.Wait()
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// heartbeats may be called only while the stream waits, which synctest.Wait makes sure of.
func (r running) heartbeats() int {
	synctest.Wait()
	return strings.Count(r.recorder.Body.String(), ": heartbeat\n\n")
}

func TestStreamHeartbeatAndLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := run(t, newHandler(t), kittest.Token(t, "technician", tenantA, "a"))
		time.Sleep(46 * time.Second)
		if got := stream.heartbeats(); got != 3 || !stream.recorder.Flushed {
			t.Errorf("%d heartbeats in 46 s, want 3", got)
		}
		stream.cancel()
		if !stream.hasEnded() {
			t.Error("the stream goes on without its client")
		}
	})
}

func TestStreamEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := kittest.Sign(t, kit.Identity{UserID: "a", TenantID: tenantA}, time.Minute)
		stream := run(t, newHandler(t), token)
		time.Sleep(59 * time.Second)
		if stream.hasEnded() {
			t.Fatal("the stream ended before its token")
		}
		time.Sleep(time.Second)
		if !stream.hasEnded() {
			t.Error("the stream outlives its token")
		}
	})
}

func TestStreamEndsWhenItsTokenIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked := kit.NewRevocations()
		handler, err := tickets.New(tickets.Config{JWTSecret: kittest.Secret, Revocations: revoked})
		if err != nil {
			t.Fatal(err)
		}
		token := kittest.Sign(t, kit.Identity{UserID: "a", TenantID: tenantA, SessionID: "s"}, time.Hour)
		stream := run(t, contract.Watch(t, handler), token)
		revoked.Add("s", time.Now().Add(time.Hour))
		time.Sleep(15 * time.Second)
		if !stream.hasEnded() || stream.heartbeats() != 0 {
			t.Error("the stream outlives the revocation by more than a heartbeat")
		}
	})
}

// blocked takes nothing until it is released, like a client that has stopped reading.
type blocked struct {
	*httptest.ResponseRecorder
	released chan struct{}
}

func (b blocked) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "id: ") {
		<-b.released
	}
	return b.ResponseRecorder.Write(p)
}

func TestSlowListenerIsCutOffAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := newHandler(t)
		staff := as(t, handler, "technician", tenantA, "a")
		slow := blocked{httptest.NewRecorder(), make(chan struct{})}
		request := httptest.NewRequest("GET", eventsPath, nil)
		request.Header.Set("Authorization", "Bearer "+staff.Token)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			handler.ServeHTTP(slow, request)
		}()
		synctest.Wait()
		for range 100 {
			newTicket(t, staff, "Printer")
			synctest.Wait()
		}
		close(slow.released)
		began := time.Now()
		<-ended
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the stream went on for %s", waited)
		}
		if got := strings.Count(slow.Body.String(), "event: "); got != 65 {
			t.Errorf("%d events before the cut, want the one being written and 64 waiting", got)
		}
	})
}
