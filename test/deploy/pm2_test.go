//go:build linux

package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pm2 is a daemon of its own, with one application from the ecosystem file.
type pm2 struct {
	t    *testing.T
	tool string
	env  []string
}

func startPM2(t *testing.T, state, config string) *pm2 {
	t.Helper()
	p := &pm2{t: t, tool: need(t, "pm2")}
	home := tempDir(t)
	p.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "PM2_HOME=" + home, "YETT_BIN=" + binary, "YETT_STATE=" + state, "YETT_CONFIG=" + config}
	t.Cleanup(func() { _, _ = try(t, p.env, p.tool, "kill") })
	p.do("start", filepath.Join(root(t), "deploy/pm2/ecosystem.config.js"), "--env", "production")
	return p
}

func (p *pm2) do(args ...string) string { p.t.Helper(); return output(p.t, p.env, p.tool, args...) }

// shows tells the state of the application, and its process.
func (p *pm2) shows() (state string, pid int) {
	p.t.Helper()
	said := p.do("jlist")
	var all []struct {
		PID int `json:"pid"`
		Env struct {
			Status string `json:"status"`
		} `json:"pm2_env"`
	}
	if err := json.Unmarshal([]byte(said[max(strings.LastIndex(said, "\n[{"), strings.Index(said, "[{"), 0):]), &all); err != nil || len(all) != 1 {
		p.t.Fatalf("%v in %s", err, said)
	}
	return all[0].Env.Status, all[0].PID
}

func TestPM2(t *testing.T) {
	heavy(t)
	state, config := tempDir(t), filepath.Join(tempDir(t), "yett.yaml")
	write(t, config, fmt.Sprintf(serviceConfig, "yett", "127.0.0.1:0"))
	p := startPM2(t, state, config)
	if s, _ := p.shows(); s != "online" {
		t.Fatalf("it is %s", s)
	}
	before := status(t, state)
	if len(before.Workers) != 2 || before.State != "ready" {
		t.Fatalf("%+v", before)
	}
	url := "http://" + before.Listeners[0].Address

	write(t, config, fmt.Sprintf(serviceConfig, "yett", "127.0.0.1:0")+"  - {name: more, path: /more, auth: none, endpoint: health}\n")
	p.do("sendSignal", "SIGHUP", "yett")
	eventually(t, "the new route serves", func() bool { _, err := answers(t.Context(), url+"/more"); return err == nil })

	p.do("sendSignal", "SIGUSR2", "yett")
	eventually(t, "other workers serve", func() bool {
		now := status(t, state)
		return now.State == "ready" && len(now.Workers) == 2 && now.Workers[1].PID != before.Workers[1].PID
	})
	before = status(t, state)
	if s, pid := p.shows(); s != "online" || pid != before.PID {
		t.Errorf("after an upgrade it is %s with process %d, want %d", s, pid, before.PID)
	}

	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another supervisor takes the workers over", func() bool {
		now := status(t, state)
		return now.PID != 0 && now.PID != before.PID && len(now.Workers) == 2 && now.Workers[0].PID == before.Workers[0].PID
	})
	if _, err := answers(t.Context(), url+"/more"); err != nil {
		t.Error(err)
	}
	eventually(t, "PM2 shows it", func() bool { s, _ := p.shows(); return s == "online" })

	p.do("stop", "yett")
	if s, _ := p.shows(); s != "stopped" {
		t.Errorf("it is %s", s)
	}
	if now := status(t, state); now.State != "stopped" {
		t.Errorf("after a stop: %+v", now)
	}
}
