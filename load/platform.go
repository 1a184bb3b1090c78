package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"yett/examples/psa/services/auth"
)

// target is a gateway to test.
type target struct {
	url, password string
	pid           int // 0 when it is not on this machine, or nobody said
	stop          func() error
}

const (
	exampleConfig = "examples/psa/yett.yaml"
	servicesMain  = "./examples/psa/services/cmd/psa-services"
	unreachable   = "1000000000" // the highest limit that a configuration may have
)

// startPlatform starts the services of the example platform and the gateway before them, each a process of its own, so
// that what the gateway uses can be told from what they do. The files of the run are in dir.
func startPlatform(ctx context.Context, yett, dir string, says io.Writer) (target, error) {
	services := filepath.Join(dir, "psa-services")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", services, servicesMain).CombinedOutput(); err != nil {
		return target{}, fmt.Errorf("build the services: %w\n%s", err, out)
	}
	config, err := writeConfig(dir)
	if err != nil {
		return target{}, err
	}
	secret := "JWT_SECRET=" + rand.Text() + rand.Text()
	platform, err := start(says, []string{secret, "AUTH_PORT=0", "CRM_PORT=0", "TICKETS_PORT=0", "DEMO_PASSWORD=" + auth.DemoPassword}, services)
	if err != nil {
		return target{}, err
	}
	at, err := platform.hear(ctx, "psa-services ready")
	if err != nil {
		return target{}, errors.Join(err, platform.stop())
	}
	env := []string{secret, "PORT=0", "REDIS_HOST=", "LOG_LEVEL=info", "LOG_FILE=" + filepath.Join(dir, "access.log")}
	for _, name := range []string{"auth", "crm", "tickets"} {
		env = append(env, fmt.Sprintf("%s_SERVICE_URL=http://%v", strings.ToUpper(name), at[name]))
	}
	gateway, err := start(says, env, yett, "run", "--config", config)
	if err != nil {
		return target{}, errors.Join(err, platform.stop())
	}
	stop := func() error { return errors.Join(gateway.stop(), platform.stop()) }
	listening, err := gateway.hear(ctx, "listening")
	if err != nil {
		return target{}, errors.Join(err, stop())
	}
	_, port, err := net.SplitHostPort(fmt.Sprint(listening["address"]))
	if err != nil {
		return target{}, errors.Join(err, stop())
	}
	return target{"http://" + net.JoinHostPort("127.0.0.1", port), auth.DemoPassword, gateway.cmd.Process.Pid, stop}, nil
}

// writeConfig writes the example platform's configuration with limits that nobody reaches: all that is sent comes from
// one address, and the test is of the gateway, not of its limits. They are still counted, as everything else is
// still done.
func writeConfig(dir string) (string, error) {
	data, err := os.ReadFile(exampleConfig)
	if err != nil {
		return "", fmt.Errorf("read the platform's configuration: %w", err)
	}
	path := filepath.Join(dir, "yett.yaml")
	return path, os.WriteFile(path, []byte(withoutLimits(string(data))), 0o644)
}

// withoutLimits sets what each limit allows in a configuration to more than anybody asks for.
func withoutLimits(config string) string {
	head, rest, ok := strings.Cut(config, "\nlimits:\n")
	if !ok {
		return config
	}
	end := regexp.MustCompile(`(?m)^[a-z]`).FindStringIndex(rest)
	if end == nil {
		end = []int{len(rest)}
	}
	limits := regexp.MustCompile(`(?m)^(    limit:) .*$`).ReplaceAllString(rest[:end[0]], "$1 "+unreachable)
	return head + "\nlimits:\n" + limits + rest[end[0]:]
}
