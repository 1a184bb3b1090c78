package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"yett/internal/openapi"
)

// starter is a configuration for whoever has no document.
const starter = `# A configuration of Yett to begin with. Is it right? yett check; serve: yett run.
# All that can be written: docs/reference, or yett schema for your editor.
name: my-gateway

# Where clients connect.
listeners:
  - address: ":8080"

# What stands behind the gateway. Change the target to where your service listens.
services:
  app:
    targets: ["http://localhost:3000"]
    # health: {path: /health} # take targets out that do not answer

# Policies of every route. They run in one fixed order, whatever is written first.
policies:
  request_id: # each request and its log lines have an ID
  security_headers:

# Which requests go where. The most specific route wins, whatever the order.
routes:
  - name: health
    path: /health
    methods: [GET]
    auth: none
    endpoint: health # the gateway itself answers
  - name: app
    path: /api/**
    auth: none # anybody may call; required wants a policy jwt and issuers
    service: app
`

// configurationOf writes a configuration for documents.
func configurationOf(docs []*sourceDocument, exact bool) (string, error) {
	operations, err := operationsOf(docs)
	if err != nil {
		return "", err
	}
	routes, err := plan(operations, exact)
	if err != nil {
		return "", err
	}
	sortRoutes(routes, docs)
	known := slices.ContainsFunc(routes, func(r initRoute) bool { return r.auth != "none" })
	var b strings.Builder
	b.WriteString(headOfInit)
	if known {
		b.WriteString(issuersOfInit)
	}
	b.WriteString("\n# A service for each document.\nservices:\n")
	for i, d := range docs {
		if slices.ContainsFunc(routes, func(r initRoute) bool { return r.of == d }) {
			writeService(&b, d, 8081+i)
		} else {
			fmt.Fprintf(&b, "  # %s documents no operation, so it has no service.\n", comment(d.file))
		}
	}
	b.WriteString(policiesOfInit)
	if known {
		b.WriteString("  jwt: # verifies tokens on routes with auth: required or optional\n")
	}
	b.WriteString(routesOfInit)
	var of *sourceDocument
	for i := range routes {
		if r := &routes[i]; r.of != of {
			of = r.of
			fmt.Fprintf(&b, "  # %s\n", comment(of.doc.Root.Get("info").Str("title")+", "+of.file))
		}
		writeRoute(&b, &routes[i])
	}
	return b.String(), nil
}

const headOfInit = `# Written by yett init. Is it right? yett check; what goes where? yett routes; serve: yett run.
# All that can be written: docs/reference, or yett schema for your editor.
name: my-gateway

# Where clients connect.
listeners:
  - address: ":8080"
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
  # validate: {mode: observe} # holds requests against the documents and logs what is wrong
`

const routesOfInit = `
# Which requests go where. The most specific route wins, whatever the order. /** is everything
# below; yett init --exact writes a route for each path instead.
routes:
`

func writeService(b *strings.Builder, d *sourceDocument, port int) {
	fmt.Fprintf(b, "  %s:\n", scalar(d.service))
	targets := targetsOf(d.doc)
	if len(targets) == 0 {
		fmt.Fprintf(b, "    targets: [\"http://localhost:%d\"] # change this: the document names no server\n", port)
	} else {
		fmt.Fprintf(b, "    targets: [%s] # the first server of the document\n", scalar(targets[0]))
		for _, t := range targets[1:] {
			fmt.Fprintf(b, "    # another server of the document: %s\n", comment(t))
		}
	}
	fmt.Fprintf(b, "    openapi: {file: %s}\n", scalar(d.written))
}

// targetsOf returns where the absolute addresses among a document's servers are, without
// their paths, which are part of the routes.
func targetsOf(d *openapi.Document) []string {
	var targets []string
	for _, s := range d.Root.Get("servers").Elements() {
		text := s.Str("url")
		for _, v := range s.Get("variables").Pairs() {
			text = strings.ReplaceAll(text, "{"+v.Name+"}", v.Value.Str("default"))
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(u.Host, "{}$ ") {
			continue
		}
		if t := u.Scheme + "://" + u.Host; !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets
}

func writeRoute(b *strings.Builder, r *initRoute) {
	fmt.Fprintf(b, "  - name: %s\n    path: %s\n    methods: [%s]\n", scalar(r.name), scalar(r.paths[0]), strings.Join(r.methods, ", "))
	switch r.auth {
	case "none":
		b.WriteString("    auth: none # the document asks for no security\n")
	case "optional":
		b.WriteString("    auth: optional # the document also takes callers without a token\n")
	default:
		b.WriteString("    auth: required\n")
	}
	fmt.Fprintf(b, "    service: %s\n", scalar(r.of.service))
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
