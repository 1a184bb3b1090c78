package cli

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/problem"
)

// envService is a service of the platform that the Express gateway stood before.
type envService struct {
	Name     string
	Variable string // of its address
	Usual    string // its address where the variable is not set
	Timeout  string
	Why      string
	Routes   string
}

func envServices() []envService {
	return []envService{
		{"auth", "AUTH_SERVICE_URL", "http://localhost:3001", "5s", "", envAuthRoutes},
		{"users", "AUTH_SERVICE_URL", "http://localhost:3001", "5s", "the same service, with a breaker of its own: an error here must not keep others from logging in", envUsersRoutes},
		{"crm", "CRM_SERVICE_URL", "http://localhost:3002", "5s", "", envCRMRoutes},
		{"tickets", "TICKETS_SERVICE_URL", "http://localhost:3003", "15s", "", envTicketsRoutes},
		{"billing", "BILLING_SERVICE_URL", "http://localhost:3004", "30s", "", laterRoutes("billing")},
		{"projects", "PROJECTS_SERVICE_URL", "http://localhost:3005", "10s", "", laterRoutes("projects")},
		{"assets", "ASSETS_SERVICE_URL", "http://localhost:3006", "10s", "", laterRoutes("assets")},
		{"reports", "REPORTS_SERVICE_URL", "http://localhost:3007", "60s", "", laterRoutes("reports")},
	}
}

// envKnown are the variables of the Express gateway beside those of services.
var envKnown = []string{
	"PORT", "SERVICE_NAME", "NODE_ENV", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "JWT_SECRET", "ALLOWED_ORIGINS",
	"RATE_LIMIT_WINDOW_MS", "RATE_LIMIT_GLOBAL_MAX", "RATE_LIMIT_AUTH_MAX", "RATE_LIMIT_MAX_REQUESTS", "RATE_LIMIT_AUTH_ENDPOINTS",
	"CIRCUIT_BREAKER_TIMEOUT", "CIRCUIT_BREAKER_ERROR_THRESHOLD", "CIRCUIT_BREAKER_RESET_TIMEOUT", "LOG_LEVEL", "LOG_FILE",
}

// envPlan is what the file of the environment becomes.
type envPlan struct {
	File     string
	Notes    []string
	Level    string // of the log, where it can't be that of LOG_LEVEL
	Services []envService

	variables map[string]string
	written   string // what is in the file, for places
}

// readEnv reads the file. The error is a problem.List where it can't be read as the gateway reads it.
func readEnv(file string) (*envPlan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	p := &envPlan{File: file, written: string(text)}
	var problems problem.List
	if p.variables, problems = config.ParseDotenv(file, p.written); len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// plan decides what is written. output is where, for what depends on that.
func (p *envPlan) plan(output string) {
	p.chooseServices()
	p.level()
	set := func(name string) bool { return p.variables[name] != "" }
	if !set("JWT_SECRET") {
		p.note("JWT_SECRET is not set there: put it into the environment, or nothing starts")
	}
	if !set("REDIS_HOST") {
		p.note("REDIS_HOST is not set: state is kept in memory, by each gateway for itself; the old one took localhost, and would not start without")
	}
	if set("NODE_ENV") {
		p.note("NODE_ENV is not read by the configuration: yett start --env says production or development")
	}
	for _, names := range [][2]string{{"RATE_LIMIT_MAX_REQUESTS", "RATE_LIMIT_GLOBAL_MAX"}, {"RATE_LIMIT_AUTH_ENDPOINTS", "RATE_LIMIT_AUTH_MAX"}} {
		if set(names[0]) && set(names[1]) {
			p.note(fmt.Sprintf("%s has no effect beside %s, the newer name", names[0], names[1]))
		}
	}
	if set("CIRCUIT_BREAKER_TIMEOUT") {
		p.note("CIRCUIT_BREAKER_TIMEOUT is from when on an answer counts as slow for the breaker; what ends a request is timeouts.response of its service")
	}
	p.unknown()
	p.where(output)
}

func (p *envPlan) note(text string) { p.Notes = append(p.Notes, text) }

// chooseServices takes those whose address is given.
func (p *envPlan) chooseServices() {
	var left []string
	for _, s := range envServices() {
		switch {
		case p.variables[s.Variable] != "":
			p.Services = append(p.Services, s)
		case !slices.Contains(left, s.Variable):
			left = append(left, s.Variable)
		}
	}
	if len(p.Services) == 0 {
		p.Services = envServices()[:4] // up to tickets
		p.note("no address of a service is set: auth, crm and tickets have routes, at the addresses that the old one took without")
		return
	}
	for _, name := range left {
		s := slices.IndexFunc(envServices(), func(s envService) bool { return s.Variable == name })
		p.note(fmt.Sprintf("%s is not set, so its service has no routes; the old one took %s", name, envServices()[s].Usual))
	}
}

// Has tells whether there is a service of that name.
func (p *envPlan) Has(name string) bool {
	return slices.ContainsFunc(p.Services, func(s envService) bool { return s.Name == name })
}

// level looks at the levels that winston has and slog has not.
func (p *envPlan) level() {
	switch p.variables["LOG_LEVEL"] {
	case "http", "verbose", "silly":
		p.Level = "debug"
	case "warning":
		p.Level = "warn"
	default:
		return
	}
	p.note("LOG_LEVEL names a level that is none here: the configuration says " + p.Level)
}

// unknown notes variables that nobody reads any more.
func (p *envPlan) unknown() {
	known := slices.Clone(envKnown)
	for _, s := range envServices() {
		known = append(known, s.Variable)
	}
	var names []string
	for name := range p.variables {
		if !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return p.line(a) - p.line(b) })
	for _, name := range names {
		switch near := problem.Nearest(name, known); {
		case near != "" && p.variables[near] == "":
			p.note(fmt.Sprintf("%s (line %d) is read by nobody: did you mean %s?", name, p.line(name), near))
		case strings.HasSuffix(name, "_SERVICE_URL"):
			p.note(fmt.Sprintf("%s (line %d) is of a service that the old one had no routes for: write a service and a route for it", name, p.line(name)))
		default:
			p.note(fmt.Sprintf("%s (line %d) is read by nobody", name, p.line(name)))
		}
	}
}

// where notes that a file is read only beside the configuration, and only under its name.
func (p *envPlan) where(output string) {
	beside := ".env"
	if output != "" && output != stdinName {
		beside = filepath.Join(filepath.Dir(output), ".env")
	}
	if !sameFile(p.File, beside) {
		p.note(fmt.Sprintf("%s is not where variables are looked for, which is %s: copy it there, or put them into the environment", p.File, beside))
	}
}

// line returns where a variable is set, 0 where that can't be told.
func (p *envPlan) line(name string) int {
	set := regexp.MustCompile(`^\s*(export\s+)?` + regexp.QuoteMeta(name) + `\s*=`)
	for i, l := range strings.Split(p.written, "\n") {
		if set.MatchString(l) {
			return i + 1
		}
	}
	return 0
}

func (p *envPlan) text() (string, error) {
	t, err := template.New("yett.yaml").Funcs(template.FuncMap{"comment": comment}).Parse(envTemplate)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return "", err
	}
	return b.String(), nil
}

// check holds the text against the values, as yett check does. Problems are told at the variables
// that cause them.
func (p *envPlan) check(name, text string, process Process) error {
	o := process.options(name)
	o.Source = []byte(text)
	o.Env = config.Overlay(config.MapEnv(p.variables), process.secretFor(p.variables))
	_, err := app.Check(o)
	list, ok := errors.AsType[problem.List](err)
	if !ok {
		return err
	}
	lines := strings.Split(text, "\n")
	var told problem.List
	for _, at := range list {
		if at.Line > 0 && at.Line <= len(lines) {
			at = p.atVariable(at, lines[at.Line-1])
		}
		if !slices.Contains(told, at) {
			told = append(told, at)
		}
	}
	told.Sort()
	return refusal{problems: told, consequence: "nothing was written"}
}

// variablesIn finds the names of variables in a line of a configuration.
var variablesIn = regexp.MustCompile(`\$\{(\w+)`)

func (p *envPlan) atVariable(at problem.Problem, line string) problem.Problem {
	for _, found := range variablesIn.FindAllStringSubmatch(line, -1) {
		if name := found[1]; p.variables[name] != "" {
			return problem.Problem{File: p.File, Line: p.line(name), Column: 1, Path: name, What: at.What, Hint: at.Hint}
		}
	}
	return at
}

// secretFor is where a secret comes from that is not in the file: the environment, or, as long as it
// isn't there either, something that nobody knows.
func (p Process) secretFor(variables map[string]string) config.Env {
	secret := p.getenv("JWT_SECRET")
	if secret == "" {
		secret = rand.Text() + rand.Text()
	}
	if variables["JWT_SECRET"] != "" {
		secret = ""
	}
	return config.MapEnv(map[string]string{"JWT_SECRET": secret})
}

// fromEnv makes the configuration of an environment.
func (i *initial) fromEnv(process Process) (text string, told *initTold, err error) {
	p, err := readEnv(i.env)
	if err != nil {
		return "", nil, explainEnv(err)
	}
	p.plan(i.output)
	if text, err = p.text(); err != nil {
		return "", nil, err
	}
	name := i.output
	if i.toStdout() {
		name = "yett.yaml"
	}
	if err := p.check(name, text, process); err != nil {
		return "", nil, err
	}
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return text, &initTold{
		notes: p.Notes,
		wrote: "routes to " + strings.Join(names, ", ") + "; no value of " + printable(i.env) + " is in it",
		todo:  "see whether the auth service's tokens have iss psa-platform and aud psa-api, and else correct issuers (yett token decode shows them)",
		page:  "http://localhost:" + cmp.Or(p.variables["PORT"], "3000") + "/health",
	}, nil
}

func explainEnv(err error) error {
	if list, ok := errors.AsType[problem.List](err); ok {
		return refusal{problems: list, consequence: "nothing was written"}
	}
	return err
}
