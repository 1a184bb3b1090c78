package twin

import (
	"context"
	"io"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/policy/policytest"
)

// bothProtocols makes the listener of a script's config speak HTTP/1.1 and
// HTTP/2. It edits the text, so that all else stays as it was written.
func bothProtocols(t *testing.T, conf []byte) []byte {
	t.Helper()
	for _, v := range []struct{ listener, with string }{
		{`(?m)^( *)- address: "?127\.0\.0\.1:0"?$`, "${0}\n${1}  protocols: [http1, h2c]"},
		{`\{address: "?127\.0\.0\.1:0"?`, "${0}, protocols: [http1, h2c]"},
	} {
		pattern := regexp.MustCompile(v.listener)
		if pattern.Match(conf) {
			return pattern.ReplaceAll(conf, []byte(v.with))
		}
	}
	t.Fatal("the config has no listener with the address 127.0.0.1:0")
	return nil
}

// startGateway serves a script's config until the test ends, and returns the
// address.
func startGateway(t *testing.T, script *policytest.Script, upstream string) string {
	t.Helper()
	file, err := filepath.Abs(script.Name) // files that the config names are beside the script
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{
		File: file, Source: bothProtocols(t, script.Config),
		Env:     config.MapEnv(map[string]string{"UPSTREAM": upstream}),
		Version: "1.2.3", Stdout: io.Discard, Stderr: t.Output(),
	})
	if err != nil {
		t.Fatalf("the config of %s:\n%v", script.Name, err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stopping the gateway: %v", err)
		}
	})
	return a.Addr(0).String()
}
