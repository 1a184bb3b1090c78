package logfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fast is what the tests with processes rotate by.
const fast = 100 << 10

// write is a process that appends numbered lines in batches. spec is file,writer,first,last. It says
// on its standard output after each batch up to which line everything is written.
func write(spec string) error {
	part := strings.Split(spec, ",")
	first, err1 := strconv.Atoi(part[2])
	last, err2 := strconv.Atoi(part[3])
	f, err3 := Open(part[0], Options{Size: fast, Compress: true, OnError: func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for i := first; i < last; {
		var batch []byte
		for n := 1 + rand.IntN(200); n > 0 && i < last; n-- {
			batch = fmt.Appendf(batch, "%s %d %s.\n", part[1], i, strings.Repeat("x", rand.IntN(200)))
			i++
		}
		if _, err := f.Write(batch); err != nil {
			return err
		}
		if _, err := fmt.Println(i); err != nil {
			return err
		}
	}
	return f.Close()
}

// writer starts a process that writes, see write. It ends with the test.
func writer(t *testing.T, path, name string, first, last int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%d,%d", writerVariable, path, name, first, last))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	t.Cleanup(func() {
		if stderr.Len() > 0 {
			t.Errorf("writer %s: %s", name, &stderr)
		}
	})
	return cmd, bufio.NewScanner(out)
}

// tally counts each line of each writer over all files, and lines that are none.
func tally(t *testing.T, path string) (seen map[string]int, broken []string) {
	t.Helper()
	seen = map[string]int{}
	for line := range strings.Lines(whole(t, path)) {
		word := strings.Fields(line)
		if len(word) != 3 || !strings.HasSuffix(line, ".\n") {
			broken = append(broken, line)
			continue
		}
		seen[word[0]+" "+word[1]]++
	}
	return seen, broken
}

// Processes that write at once, with a new file every 100 KB, lose no line and tear none.
func TestManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	const writers, lines = 4, 15_000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			cmd, out := writer(t, path, strconv.Itoa(w), 0, lines)
			if cmd == nil {
				return
			}
			for out.Scan() {
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f := open(t, path, Options{Size: fast, Compress: true}) // compresses what they left
	eventually(t, "all is compressed", func() bool {
		s, err := scan(path)
		for _, b := range s.backups {
			if !b.Compressed() {
				return false
			}
		}
		return err == nil && len(s.twins)+len(s.orphans) == 0
	})
	_ = f.Close()
	seen, broken := tally(t, path)
	if len(broken) > 0 {
		t.Errorf("%d lines are torn, such as %q", len(broken), broken[0])
	}
	wrong := 0
	for w := range writers {
		for i := range lines {
			if seen[fmt.Sprintf("%d %d", w, i)] != 1 {
				wrong++
			}
		}
	}
	if wrong > 0 || len(seen) != writers*lines {
		t.Errorf("%d of %d lines are missing or there twice; %d are there", wrong, writers*lines, len(seen))
	}
	backups, err := Backups(path)
	if err != nil || len(backups) < 40 {
		t.Errorf("only %d old files: %v", len(backups), err)
	}
	t.Logf("%d lines in %d files", len(seen), len(backups)+1)
}

// Processes that are killed at any moment lose nothing of what they had written, and tear at most the
// line that they were at.
func TestKilledProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	const writers, kills = 3, 6
	var acknowledged sync.Map // by life: its first line, and the one behind its last
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for k := range kills {
				// Lines after those that were acknowledged may be there too: each life has numbers of its own.
				first := (k + 1) * 1_000_000
				cmd, out := writer(t, path, fmt.Sprintf("%d/%d", w, k), first, first+900_000)
				if cmd == nil {
					return
				}
				kill := time.Duration(20+rand.IntN(60)) * time.Millisecond
				var end *time.Timer
				upTo := first
				for out.Scan() {
					if n, err := strconv.Atoi(out.Text()); err == nil {
						upTo = n
					}
					if end == nil {
						end = time.AfterFunc(kill, func() { _ = cmd.Process.Kill() })
					}
				}
				_ = cmd.Wait()
				acknowledged.Store(fmt.Sprintf("%d/%d", w, k), [2]int{first, upTo})
			}
		})
	}
	wg.Wait()
	f := open(t, path, Options{Size: fast, Compress: true})
	put(t, f, "end 1 x.\n")
	eventually(t, "all is healed", func() bool {
		s, err := scan(path)
		for _, b := range s.backups {
			if !b.Compressed() {
				return false
			}
		}
		return err == nil && len(s.twins)+len(s.orphans) == 0
	})
	_ = f.Close()
	seen, broken := tally(t, path)
	if len(broken) > writers*kills {
		t.Errorf("%d lines are torn by %d kills", len(broken), writers*kills)
	}
	total := 0
	acknowledged.Range(func(key, value any) bool {
		life := value.([2]int)
		for i := life[0]; i < life[1]; i++ {
			if n := seen[fmt.Sprintf("%s %d", key, i)]; n != 1 {
				t.Errorf("line %s %d is there %d times", key, i, n)
				return false
			}
			total++
		}
		return true
	})
	for line, n := range seen {
		if n > 1 {
			t.Errorf("%s is there %d times", line, n)
		}
	}
	backups, _ := Backups(path)
	t.Logf("%d lines acknowledged, %d there, %d torn, %d files", total, len(seen), len(broken), len(backups)+1)
}

// fill is a process whose files may have 1,000 bytes. It writes batches of lines of 9 bytes, as far as they go.
func fill(spec string) error {
	limit := syscall.Rlimit{Cur: 1000, Max: 1000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	f, err := Open(strings.TrimPrefix(spec, "full,"), Options{Size: 1 << 20})
	if err != nil {
		return err
	}
	for range 5 {
		n, err := f.Write(bytes.Repeat([]byte("12345678\n"), 40))
		fmt.Println(n, errors.Is(err, syscall.EFBIG))
	}
	return f.Close()
}

// Where the disk is full, whole lines are written as far as there is room, and how far is known.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerVariable+"=full,"+path)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if want := "360 false\n360 false\n279 true\n0 true\n0 true\n"; string(said) != want {
		t.Errorf("the process says\n%s", said)
	}
	if got := read(t, path); got != strings.Repeat("12345678\n", 111) {
		t.Errorf("%d bytes, at the end %q", len(got), got[max(0, len(got)-20):])
	}
}
