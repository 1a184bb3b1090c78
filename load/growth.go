package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has at one moment.
type usage struct {
	memory  int64 // resident, bytes
	files   int64 // open descriptors
	threads int64
	cpu     time.Duration // since it began
}

// use reads what a process uses.
func use(pid int) (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return usage{}, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, err
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return usage{}, err
	}
	return usage{1024 * field(status, "VmRSS"), int64(len(files)), field(status, "Threads"), cpuTime(string(stat))}, nil
}

func field(status []byte, name string) int64 {
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
	return n
}

// cpuTime is in a line of /proc/PID/stat, whose second field may have spaces in its parentheses, in hundredths of
// a second.
func cpuTime(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// watch looks at a process every now and then, until ctx ends or the process does.
func watch(ctx context.Context, pid int, every time.Duration) []usage {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var seen []usage
	for {
		u, err := use(pid)
		if err != nil {
			return seen
		}
		seen = append(seen, u)
		select {
		case <-ctx.Done():
			return seen
		case <-ticks.C:
		}
	}
}

// enoughToGrow is how often a process has to be looked at before its growth can be told.
const enoughToGrow = 20

// grown tells what of a process grew: what is in the middle of the last fifth of the time, beside that of the second fifth, when it
// was warm. Some is allowed, because a collector of garbage comes and goes.
func grown(seen []usage) error {
	n := len(seen)
	if n < enoughToGrow {
		return fmt.Errorf("the gateway was seen only %d times, which is too few to tell whether it grows: let the test last longer", n)
	}
	early, late := seen[n/5:2*n/5], seen[n-n/5:]
	grows := func(what string, slack int64, of func(usage) int64) error {
		a, b := median(early, of), median(late, of)
		if b-a > max(slack, a/10) {
			return fmt.Errorf("%s grew from %d to %d", what, a, b)
		}
		return nil
	}
	return errors.Join(
		grows("the gateway's memory (bytes)", 8<<20, func(u usage) int64 { return u.memory }),
		grows("the gateway's descriptors", 8, func(u usage) int64 { return u.files }),
		grows("the gateway's threads", 4, func(u usage) int64 { return u.threads }))
}

func median(seen []usage, of func(usage) int64) int64 {
	values := make([]int64, len(seen))
	for i, u := range seen {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
