package services_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services"
	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const anyPort = "127.0.0.1:0"

func config() services.Config {
	return services.Config{
		AuthAddr: anyPort, CRMAddr: anyPort, TicketsAddr: anyPort, JWTSecret: kittest.Secret, BcryptCost: bcrypt.MinCost,
	}
}

// start runs the platform until the test ends or stop is called; stop fails the test unless the end is clean.
func start(t *testing.T) (platform *services.Platform, client *http.Client, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	platform, err := services.Run(ctx, config())
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	transport := &http.Transport{}
	stop = func() {
		cancel()
		if err := platform.Wait(); err != nil {
			t.Errorf("the platform ended with %v", err)
		}
		transport.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return platform, &http.Client{Transport: transport, Timeout: 10 * time.Second}, stop
}

func call(t *testing.T, client *http.Client, method, url, token, body string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func login(t *testing.T, client *http.Client, addr string) string {
	t.Helper()
	response := call(t, client, "POST", "http://"+addr+"/api/v1/auth/login", "",
		fmt.Sprintf(`{"email":"tech@example.com","password":%q}`, auth.DemoPassword))
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || response.StatusCode != 200 {
		t.Fatalf("login: status %d, %v", response.StatusCode, err)
	}
	return body.AccessToken
}

func TestRunServesAllThree(t *testing.T) {
	platform, client, _ := start(t)
	for addr, name := range map[string]string{
		platform.AuthAddr: "auth-service", platform.CRMAddr: "crm-service", platform.TicketsAddr: "tickets-service",
	} {
		var health struct{ Service string }
		response := call(t, client, "GET", "http://"+addr+"/health", "", "")
		if err := json.NewDecoder(response.Body).Decode(&health); err != nil || health.Service != name {
			t.Errorf("%s is %q, want %q (%v)", addr, health.Service, name, err)
		}
	}
	token := login(t, client, platform.AuthAddr)
	customers, tickets := "http://"+platform.CRMAddr+"/api/v1/customers", "http://"+platform.TicketsAddr+"/api/v1/tickets"
	for _, url := range []string{customers, tickets} {
		if got := call(t, client, "GET", url, token, "").StatusCode; got != 200 {
			t.Errorf("%s: status %d", url, got)
		}
	}
	call(t, client, "POST", "http://"+platform.AuthAddr+"/api/v1/auth/logout", token, "")
	for _, url := range []string{customers, tickets} {
		if got := call(t, client, "GET", url, token, "").StatusCode; got != 401 {
			t.Errorf("%s after logout: status %d, want 401", url, got)
		}
	}
}

func TestStopEndsOpenStreams(t *testing.T) {
	platform, client, stop := start(t)
	token := login(t, client, platform.AuthAddr)
	stream := call(t, client, "GET", "http://"+platform.TicketsAddr+"/api/v1/tickets/events", token, "")
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() {
		t.Fatalf("the stream did not begin: %v", lines.Err())
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("stopping waited %s for a stream", took)
	}
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut, not ended: %v", err)
	}
}

func TestBusyAddress(t *testing.T) {
	busy, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	cfg := config()
	cfg.AuthAddr, cfg.CRMAddr = freeAddr(t), busy.Addr().String()
	_, err = services.Run(t.Context(), cfg)
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Fatalf("err = %v, want a *net.OpError inside", err)
	}
	for _, want := range []string{"crm service", cfg.CRMAddr, "AUTH_PORT", "CRM_PORT", "TICKETS_PORT"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
	again, err := net.Listen("tcp", cfg.AuthAddr)
	if err != nil {
		t.Fatalf("the address of the auth service was not given back: %v", err)
	}
	again.Close()
}

// A gateway that starts after the services is told of a logout too.
func TestSetGateway(t *testing.T) {
	platform, client, _ := start(t)
	told := make(chan string, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.URL.Path }))
	defer gateway.Close()
	token := login(t, client, platform.AuthAddr)
	platform.SetGateway(gateway.URL)
	if got := call(t, client, "POST", "http://"+platform.AuthAddr+"/api/v1/auth/logout", token, "").StatusCode; got != 204 {
		t.Errorf("the logout answers %d", got)
	}
	select {
	case path := <-told:
		if path != "/internal/revocations" {
			t.Errorf("told was %s", path)
		}
	default:
		t.Error("the gateway was not told")
	}
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestShortSecret(t *testing.T) {
	cfg := config()
	cfg.JWTSecret = "short"
	if _, err := services.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "JWT_SECRET has 5 bytes") {
		t.Errorf("err = %v", err)
	}
}

func TestFromEnv(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		want services.Config
		text string // of the error
	}{
		{"nothing", nil, services.Config{AuthAddr: "127.0.0.1:3001", CRMAddr: "127.0.0.1:3002", TicketsAddr: "127.0.0.1:3003"}, ""},
		{"everything", map[string]string{
			"AUTH_PORT": "1", "CRM_PORT": "2", "TICKETS_PORT": "0", "PSA_HOST": "::1", "JWT_SECRET": "s", "DEMO_PASSWORD": "p",
			"GATEWAY_URL": "http://gw:3000/",
		}, services.Config{
			AuthAddr: "[::1]:1", CRMAddr: "[::1]:2", TicketsAddr: "[::1]:0", JWTSecret: "s", DemoPassword: "p", GatewayURL: "http://gw:3000",
		}, ""},
		{"no scheme", map[string]string{"GATEWAY_URL": "gw:3000"}, services.Config{}, `GATEWAY_URL is "gw:3000"`},
		{"no number", map[string]string{"CRM_PORT": "http"}, services.Config{}, `CRM_PORT is "http"`},
		{"too high", map[string]string{"TICKETS_PORT": "65536"}, services.Config{}, "TICKETS_PORT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := services.FromEnv(func(name string) string { return test.env[name] })
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("err = %v, want %q", err, test.text)
			}
		})
	}
}

// The README names every user, and the IDs in it are the ones that the services start with.
func TestReadmeIsTrue(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{auth.DemoPassword, kit.Acme().ID, kit.Globex().ID, kit.DemoID("customer", "bakery"), kit.DemoID("ticket", "printer")}
	for _, user := range auth.DemoUsers() {
		wanted = append(wanted, fmt.Sprintf("| %s | %s | %d |", user.Email, user.Role, kit.Level(user.Role)))
	}
	for _, want := range wanted {
		if !strings.Contains(string(text), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
}
