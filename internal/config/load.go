package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	dotenvPath := filepath.Join(filepath.Dir(path), ".env")
	text, err := readFile(dotenvPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the variables of the configuration: %w", err)
	}
	variables, problems := parseDotenv(dotenvPath, string(text))
	c, more := parseConfig(path, data, Overlay(env, MapEnv(variables)), k)
	return answer(c, append(problems, more...))
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
