package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"yett/internal/problem"
)

// minimal is a configuration that serves, to show how one begins.
const minimal = `{listeners: [{address: ":8080"}], services: {app: {targets: ["http://127.0.0.1:3000"]}}, routes: [{name: app, path: "/**", auth: none, service: app}]}`

// Load reads a configuration file, and the file .env beside it if there is
// one, whose variables count where env does not have them. The error is a
// problem.List of everything that is wrong in both files, or says what could
// not be read. With problems, the configuration is what could be made out: good
// for finding more of them, and for nothing else. It may be nil.
func Load(path string, env Env) (*Config, error) { return (*Keyless)(nil).Load(path, env) }

// Load is as the function of that name, but for what Keyless says.
func (k *Keyless) Load(path string, env Env) (*Config, error) {
	t, err := ReadText(path, env)
	if err != nil {
		return nil, err
	}
	return t.Parse(k)
}

// Text is what a configuration is made of: what is written, and the variables that it may
// name.
type Text struct {
	// Name is what problems call it. Files that it names are relative to the folder of that.
	Name string
	Data []byte
	Env  Env
	// Dotenv is the file .env, as far as there is one.
	Dotenv []byte

	problems problem.List // in Dotenv
}

// ReadText reads a configuration file, and the file .env beside it if there is one. Nothing is
// looked at, so the error says what could not be read.
func ReadText(path string, env Env) (*Text, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	t := &Text{Name: path, Data: data, Env: env}
	return t, t.ReadDotenv(DotenvBeside(path))
}

// DotenvBeside returns where the file .env of a configuration file is.
func DotenvBeside(path string) string { return filepath.Join(filepath.Dir(path), ".env") }

// ReadDotenv adds the variables of a file .env, which count where Env does not have them. It
// need not be there.
func (t *Text) ReadDotenv(path string) error {
	data, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the variables of the configuration: %w", err)
	}
	variables, problems := parseDotenv(path, string(data))
	t.Dotenv, t.problems = data, problems
	t.Env = Overlay(t.Env, MapEnv(variables))
	return nil
}

// Parse makes the configuration. The error is a problem.List of everything that is wrong, in
// Dotenv too; the configuration is then as Load says. k may be nil.
func (t *Text) Parse(k *Keyless) (*Config, error) {
	c, more := parseConfig(t.Name, t.Data, t.Env, k)
	return answer(c, append(slices.Clone(t.problems), more...))
}

// Parse reads a configuration. name is what problems call it; files that it
// names are relative to the folder of name. The error is a problem.List of
// everything that is wrong, in the order of the file; the configuration is then
// as Load says. Nothing but data and env is read.
func Parse(name string, data []byte, env Env) (*Config, error) {
	return (*Keyless)(nil).Parse(name, data, env)
}

// Parse is as the function of that name, but for what Keyless says.
func (k *Keyless) Parse(name string, data []byte, env Env) (*Config, error) {
	return answer(parseConfig(name, data, env, k))
}

// ParseNode reads a document that is only a part of a configuration, such as
// that of one policy.
func ParseNode(name string, data []byte, env Env) (Node, error) {
	root, problems := read(name, data, env, nil)
	if len(problems) > 0 {
		problems.Sort()
		return Node{}, problems
	}
	return Node{source: newSource(name, root), value: root}, nil
}

func parseConfig(name string, data []byte, env Env, keyless *Keyless) (*Config, problem.List) {
	root, problems := read(name, data, env, keyless)
	if root == nil {
		return nil, problems
	}
	c := Defaults()
	c.Source = newSource(name, root)
	switch root.kind {
	case mapping:
		node := Node{source: c.Source, value: root}
		problems = append(problems, node.Decode(&c)...)
	case null:
		problems = append(problems, c.Source.Problem("", "the configuration is empty", "a small one is "+minimal))
	case word, list:
		d := decoder{source: c.Source}
		d.mismatch(root, "", "a mapping of keys such as listeners and routes", "a small one is "+minimal)
		problems = append(problems, d.problems...)
	}
	return &c, problems
}

func answer(c *Config, problems problem.List) (*Config, error) {
	problems.Sort()
	return c, problems.Err()
}

// readFile reads at most a byte more than a configuration may have, so that a
// device or a log file named by mistake does no harm.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
