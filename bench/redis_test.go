package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func testPlace(t *testing.T) place {
	t.Helper()
	at, err := choosePlaces(0)
	if err != nil {
		t.Fatal(err)
	}
	return at.load
}

func TestRedisStarts(t *testing.T) {
	if _, err := lookProgram(redisProgram); err != nil {
		t.Skip(err)
	}
	at, dir := testPlace(t), t.TempDir()
	s, err := startRedis(t.Context(), at, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if err := s.ping(); err != nil {
		t.Error(err)
	}
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(s.pids()[0], &cores); err != nil || cores.Count() != 1 || !cores.IsSet(at.core) {
		t.Errorf("it may run on %d cores, %v; want core %d alone", cores.Count(), err, at.core)
	}
	s.stop()
	if conn, err := net.Dial("tcp", loopback(s.port).String()); err == nil {
		conn.Close()
		t.Error("it still listens after stop")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, redisProgram, "*.*")); len(left) != 1 { // its output alone
		t.Errorf("it has left %q", left)
	}
}

// A server that can't start must not be waited for.
func TestRedisEndsAtOnce(t *testing.T) {
	bin := t.TempDir()
	program := "#!/bin/sh\necho out of luck\nexit 3\n"
	if err := os.WriteFile(filepath.Join(bin, redisProgram), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/bin")
	_, err := startRedis(t.Context(), testPlace(t), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("error %v", err)
	}
}

func TestWithStore(t *testing.T) {
	c := benchCase{Name: "x"}
	memory, redis := entrant{subject: subject{label: "yett"}}, entrant{subject: subject{label: "yett (redis)"}, conf: conf{Redis: true}}
	t.Setenv("PATH", t.TempDir())
	if _, err := lookProgram(redisProgram); err == nil {
		t.Skip("redis-server is not in PATH alone")
	}
	var log strings.Builder
	b := &bench{log: &log}
	got, server, err := b.withStore(context.Background(), c, []entrant{memory, redis})
	if err != nil || server != nil || len(got) != 1 || got[0].label != "yett" || !strings.Contains(log.String(), redisProgram) {
		t.Errorf("withStore leaves %v, %v; it says %q", got, err, log.String())
	}
	log.Reset()
	if got, _, err := b.withStore(context.Background(), c, []entrant{memory}); err != nil || len(got) != 1 || log.Len() > 0 {
		t.Errorf("nobody has a store there: %v, %v; it says %q", got, err, log.String())
	}
}

func TestWantsRedis(t *testing.T) {
	tests := []struct {
		cases, subjects []string
		want            bool
	}{
		{[]string{"limits"}, []string{"yett", "nginx"}, true},
		{[]string{"plain", "limits"}, []string{"yett"}, true},
		{[]string{"plain", "chain", caseIdle}, []string{"yett"}, false},
		{[]string{"limits"}, []string{"nginx", "haproxy"}, false},
	}
	for _, test := range tests {
		if got := (options{cases: test.cases, subjects: test.subjects}).wantsRedis(); got != test.want {
			t.Errorf("cases %v of %v want Redis: %t", test.cases, test.subjects, got)
		}
	}
}

// A gateway that counts elsewhere is not what was to be measured.
func TestStoreIsAsked(t *testing.T) {
	if _, err := lookProgram(redisProgram); err != nil {
		t.Skip(err)
	}
	s, err := startRedis(t.Context(), testPlace(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	r := &running{addr: loopback(4711), output: filepath.Join(t.TempDir(), "output.log"), redis: true}
	if err := os.WriteFile(r.output, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b := &bench{redis: s}
	if _, err := s.ask("SET bench-4712:limit:x 1"); err != nil { // another's
		t.Fatal(err)
	}
	if err := b.checkStore(r); err == nil || !strings.Contains(err.Error(), "counted nothing") {
		t.Errorf("error %v for who has counted nothing", err)
	}
	if answer, err := s.ask("SET bench-4711:limit:x 1"); answer != "+OK" {
		t.Fatal(answer, err)
	}
	if err := b.checkStore(r); err != nil {
		t.Error(err)
	}
}

func TestKeptStore(t *testing.T) {
	r := &running{output: filepath.Join(t.TempDir(), "output.log")}
	for text, kept := range map[string]bool{
		`{"level":"INFO","msg":"listening"}` + "\n": true,
		`{"level":"INFO","msg":"listening"}` + "\n" + `{"level":"WARN","msg":"limits count on this node alone: the store ..."}`: false,
	} {
		if err := os.WriteFile(r.output, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := r.keptStore(); (err == nil) != kept {
			t.Errorf("log %q: error %v", text, err)
		}
	}
}
