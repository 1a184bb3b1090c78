package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is where was measured.
type machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Memory  int64  `json:"memory"` // bytes
	Virtual bool   `json:"virtual"`
	System  string `json:"system"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
}

// thisMachine describes it. What can't be found out is "".
func thisMachine() (machine, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return machine{}, fmt.Errorf("read kernel version: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return machine{}, fmt.Errorf("read memory size: %w", err)
	}
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	release, _ := os.ReadFile("/etc/os-release")
	system := setting(release, "PRETTY_NAME", "=")
	if text, err := strconv.Unquote(system); err == nil {
		system = text
	}
	return machine{
		CPU:     setting(cpu, "model name", ":"),
		Cores:   runtime.NumCPU(),
		Memory:  int64(info.Totalram) * int64(info.Unit),
		Virtual: strings.Contains(" "+setting(cpu, "flags", ":")+" ", " hypervisor "),
		System:  system,
		Kernel:  unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:]),
		Go:      runtime.Version(),
	}, nil
}

// setting returns the value of the first line with that name.
func setting(data []byte, name, sign string) string {
	for line := range bytes.Lines(data) {
		key, value, found := bytes.Cut(line, []byte(sign))
		if found && string(bytes.TrimSpace(key)) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
