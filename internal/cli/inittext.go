package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// starter is a configuration for whoever has no document. Lines that begin with a # and no blank
// behind it are right without it.
const starter = `# A configuration of Yett to begin with. Is it right? yett check; serve: yett run.
# All that can be written: docs/reference, or yett schema for your editor.
name: my-gateway

# Where clients connect.
listeners:
  - address: ":8080"

# Who signs the tokens that callers bring. Take the # from lines like these to ask for tokens.
# JWT_SECRET is a variable of the environment, or of a file .env beside this one.
#issuers:
#  main:
#    keys:
#      - secret: ${JWT_SECRET:?the secret that tokens are signed with, 32 bytes or more}

# What stands behind the gateway. Change the target to where your service listens.
services:
  app:
    targets: ["http://localhost:3000"]
    #health: {path: /health} # take targets out that do not answer
    #openapi: {path: /openapi.json} # its OpenAPI document, for /api-docs and for validate

# The page at /api-docs.
docs:
  title: My API

# Policies of every route. They run in one fixed order, whatever is written first.
policies:
  request_id: # each request and its log lines have an ID
  security_headers:
  #jwt: # verifies tokens on routes with auth: required or optional
  #validate: {mode: observe} # holds requests against the documents, and logs what is wrong

# Which requests go where. The most specific route wins, whatever the order.
routes:
  - name: health
    path: /health
    methods: [GET]
    auth: none
    endpoint: health # the gateway itself answers
  - name: docs # what can be called: a page to read and to try it out
    path: [/api-docs/**, /api-docs.json, /api-docs.yaml]
    methods: [GET]
    auth: none
    endpoint: docs
  - name: app
    path: /api/** # /api itself and everything below
    auth: none # anybody may call; required wants a token
    service: app
`

// text writes the configuration.
func (p *initPlan) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, headOfInit, p.port)
	if p.known() {
		b.WriteString(issuersOfInit)
	}
	b.WriteString("\n# A service for each document.\nservices:\n")
	for _, d := range p.docs {
		if p.has(d) {
			p.writeService(&b, d)
		}
	}
	fmt.Fprintf(&b, "\n# The page at %s, which shows what the routes let through of all documents.\ndocs:\n  title: %s\n", p.page, scalar(p.title()))
	b.WriteString(policiesOfInit)
	if p.known() {
		b.WriteString("  jwt: # verifies tokens on routes with auth: required or optional\n")
	}
	b.WriteString("  validate: {mode: observe} # holds requests and answers against the documents, and logs what is wrong\n")
	b.WriteString(routesOfInit)
	for _, note := range p.notes() {
		fmt.Fprintf(&b, "  # NOTE: %s.\n", comment(note))
	}
	p.writeOwn(&b)
	var of *sourceDocument
	for i := range p.routes {
		if r := &p.routes[i]; r.of != of {
			of = r.of
			fmt.Fprintf(&b, "\n  # %s\n", comment(of.title()+", "+of.file))
		}
		writeRoute(&b, &p.routes[i])
	}
	return b.String()
}

// title is that of the only document, or one to change.
func (p *initPlan) title() string {
	if len(p.docs) == 1 && strings.TrimSpace(p.docs[0].title()) != "" {
		return p.docs[0].title()
	}
	return "My platform"
}

const headOfInit = `# Written by yett init. Is it right? yett check; what goes where? yett routes; serve: yett run.
# All that can be written: docs/reference, or yett schema for your editor.
name: my-gateway

# Where clients connect.
listeners:
  - address: ":%d"
`

const issuersOfInit = `
# Who signs the tokens that callers bring. JWT_SECRET is a variable of the environment, or of
# a file .env beside this one. For keys at a URL write jwks_url in place of secret.
issuers:
  main:
    # issuer: https://login.example.org # what iss has to be
    # audience: my-api                  # what aud has to hold
    keys:
      - secret: ${JWT_SECRET:?the secret that tokens are signed with, 32 bytes or more}
`

const policiesOfInit = `
# Policies of every route. They run in one fixed order, whatever is written first.
policies:
  request_id: # each request and its log lines have an ID
  security_headers:
`

const routesOfInit = `
# Which requests go where. The most specific route wins, whatever the order. /** is everything
# below; yett init --exact writes a route for each path instead.
routes:
`

func (p *initPlan) writeService(b *strings.Builder, d *sourceDocument) {
	t := p.targets[d]
	why := "the first server of the document"
	if t.madeUp {
		why = "change this: it is made up, the document names no host"
	}
	fmt.Fprintf(b, "  %s:\n    targets: [%s] # %s\n", scalar(d.service), scalar(t.address), why)
	for _, other := range t.others {
		fmt.Fprintf(b, "    # another server of the document: %s\n", comment(other))
	}
	fmt.Fprintf(b, "    openapi: {file: %s}\n", scalar(d.written))
}

// writeOwn writes the routes of the gateway's own pages.
func (p *initPlan) writeOwn(b *strings.Builder) {
	moved := func(path, wanted string) string {
		if path == wanted {
			return ""
		}
		return " # not " + wanted + ", which the documents have"
	}
	b.WriteString("  # What the gateway answers itself.\n")
	fmt.Fprintf(b, "  - name: %s # does it live? For load balancers and restarts\n    path: %s%s\n", ownHealth, p.health, moved(p.health, "/health"))
	b.WriteString("    methods: [GET]\n    auth: none\n    endpoint: health\n")
	fmt.Fprintf(b, "  - name: %s # what can be called: a page to read and to try it out\n    path: [%[2]s/**, %[2]s.json, %[2]s.yaml]%[3]s\n", ownDocs, p.page, moved(p.page, "/api-docs"))
	b.WriteString("    methods: [GET]\n    auth: none\n    endpoint: docs\n")
}

func writeRoute(b *strings.Builder, r *initRoute) {
	fmt.Fprintf(b, "  - name: %s\n    path: %s\n    methods: [%s]\n", scalar(r.name), scalar(r.path), strings.Join(r.methods, ", "))
	switch {
	case r.auth == "none":
		b.WriteString("    auth: none # the document asks for no security\n")
	case r.auth == "optional":
		b.WriteString("    auth: optional # the document also takes callers without a token\n")
	case r.login != "":
		fmt.Fprintf(b, "    auth: required # a token; the document %s\n", comment(r.login))
	default:
		b.WriteString("    auth: required\n")
	}
	fmt.Fprintf(b, "    service: %s\n", scalar(r.of.service))
}

// initTold is what is said beside the configuration.
type initTold struct {
	notes []string
	wrote string // what it has
	todo  string // what to change
	page  string // where it can be seen
}

func starterTold() *initTold {
	return &initTold{wrote: "/api goes to http://localhost:3000", todo: "change that target of the service app to where yours listens", page: "http://localhost:8080/api-docs"}
}

func (p *initPlan) told() *initTold {
	services, madeUp := 0, []string(nil)
	for _, d := range p.docs {
		if p.has(d) {
			services++
			if p.targets[d].madeUp {
				madeUp = append(madeUp, d.service)
			}
		}
	}
	all := len(p.operations.routed) + len(p.lost) + len(p.operations.trace)
	for _, group := range p.operations.contested {
		all += len(group)
	}
	t := &initTold{notes: p.notes(), page: fmt.Sprintf("http://localhost:%d%s", p.port, p.page)}
	t.wrote = fmt.Sprintf("%s to %s for %d of %s; the gateway itself answers %s and %s",
		count(len(p.routes), "route"), count(services, "service"), len(p.operations.routed), count(all, "operation"), p.health, p.page)
	t.todo = "see that the targets of the services are where they listen"
	if len(madeUp) > 0 {
		t.todo = "change the targets, which are made up, of " + strings.Join(madeUp, ", ")
	}
	if p.known() {
		t.todo = "set JWT_SECRET, the secret that tokens are signed with, 32 bytes or more; " + t.todo
	}
	return t
}

// print writes the notes, and in three lines what is there and what comes next.
func (t *initTold) print(w io.Writer, i *initial) error {
	name, shown := "a configuration", "FILE"
	if !i.toStdout() {
		name, shown = i.output, quote(i.output)
	}
	var b strings.Builder
	for _, n := range few(t.notes, "%d more such notes are in the file") {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "wrote %s: %s\n", printable(name), t.wrote)
	fmt.Fprintf(&b, "next: %s\n", t.todo)
	fmt.Fprintf(&b, "then: yett check -c %[1]s && yett run -c %[1]s, and see %[2]s\n", printable(shown), t.page)
	_, err := io.WriteString(w, b.String())
	return err
}

// scalar writes a text for YAML: as it is where that can mean nothing else. A ${ is none of
// a variable.
func scalar(text string) string {
	text = strings.ReplaceAll(text, "${", "$${")
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.*") == ""
	if plain && strings.ContainsAny(text[:1], "/abcdefghijklmnopqrstuvwxyz") && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, text) {
		return text
	}
	return strconv.Quote(text)
}

// comment returns a text that stays on the line of its comment.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == '$' {
			return ' '
		}
		return r
	}, text)
}
