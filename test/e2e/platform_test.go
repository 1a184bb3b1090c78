//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services"
	"yett/examples/psa/services/auth"
)

const exampleConfig = "../../examples/psa/yett.yaml"

// exampleSecret is what the auth service signs with in these tests.
var exampleSecret = strings.Repeat("0123456789abcdef", 4)

// nobody is where no service is.
const nobody = "http://127.0.0.1:1"

// platform is the example: its gateway, with its services behind it.
type platform struct {
	*gateway
	client *http.Client
	token  string
}

// startPlatform starts the services in this process and the gateway on a free
// port. more are further variables.
func startPlatform(t *testing.T, more ...string) *platform {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	const anyPort = "127.0.0.1:0"
	running, err := services.Run(ctx, services.Config{
		AuthAddr: anyPort, CRMAddr: anyPort, TicketsAddr: anyPort,
		JWTSecret: exampleSecret, BcryptCost: bcrypt.MinCost,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := running.Wait(); err != nil {
			t.Errorf("the services ended with %v", err)
		}
	})
	env := []string{
		"PORT=0", "JWT_SECRET=" + exampleSecret, "AUTH_SERVICE_URL=http://" + running.AuthAddr,
		"CRM_SERVICE_URL=http://" + running.CRMAddr, "TICKETS_SERVICE_URL=http://" + running.TicketsAddr,
	}
	for _, later := range []string{"BILLING", "PROJECTS", "ASSETS", "REPORTS"} {
		env = append(env, later+"_SERVICE_URL="+nobody)
	}
	return &platform{gateway: run(t, exampleConfig, append(env, more...)...), client: newClient(t)}
}

// answer is an answer with its body read.
type answer struct {
	*http.Response
	body string
}

// call sends a request, with the token when there is one.
func (p *platform) call(method, path, body string) answer {
	p.t.Helper()
	header := http.Header{}
	if p.token != "" {
		header.Set("Authorization", "Bearer "+p.token)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return send(p.t, p.client, method, p.url+path, body, header)
}

func send(t *testing.T, client *http.Client, method, url, body string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, url, err)
	}
	return answer{resp, string(text)}
}

// want fails the test unless the answer has that status.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

// decode reads the body as JSON.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%s: %v in %s", a.Request.URL.Path, err, a.body)
	}
	return v
}

// login keeps a token for the following calls.
func (p *platform) login(email string) {
	p.t.Helper()
	credentials, err := json.Marshal(map[string]string{"email": email, "password": auth.DemoPassword})
	if err != nil {
		p.t.Fatal(err)
	}
	p.token = ""
	got := p.call("POST", "/api/v1/auth/login", string(credentials)).want(p.t, 200)
	p.token = decode[struct {
		AccessToken string `json:"access_token"`
	}](p.t, got).AccessToken
	if p.token == "" {
		p.t.Fatal("the login gave no token")
	}
}

// refusal is the one shape of errors.
type refusal struct {
	Error struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Status    int    `json:"status"`
		Timestamp string `json:"timestamp"`
		RequestID string `json:"request_id"`
		// RetryAfter is in seconds, where it is said.
		RetryAfter int `json:"retryAfter"`
	} `json:"error"`
}
