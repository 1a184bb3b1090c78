package main

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	ticketsPath = "/v/tickets"
	ticketPath  = ticketsPath + "/4711"
	// ticket is about 300 bytes of JSON, as a caller sends it and as the service answers.
	ticket = `{"title":"The printer on the second floor is on fire","priority":"high","customer":"bbd1e0c4-284c-48b5-b7ae-477e8237382e",` +
		`"description":"It began this morning, with a smell, and nobody dares to go near it any more.",` +
		`"tags":["printer","fire","urgent"],"due":"2026-01-02T15:04:05Z","estimate":2.5}`
)

// ticketOperations are the operations of the cases' requests, with %[1]s before their paths.
const ticketOperations = `
"%[1]s/tickets/{id}":{"get":{
  "parameters":[
    {"name":"id","in":"path","required":true,"schema":{"type":"integer","minimum":1}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100}},
    {"name":"state","in":"query","schema":{"enum":["open","closed"]}},
    {"name":"fields","in":"query","explode":false,"schema":{"type":"array","items":{"type":"string","maxLength":20}}}],
  "responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Ticket"}}}}}}},
"%[1]s/tickets":{"post":{
  "requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Ticket"}}}},
  "responses":{"201":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Ticket"}}}}}}}`

// ticketDocument returns an OpenAPI document with at least so many operations, those of the
// requests among them.
func ticketDocument(operations int) string {
	paths := []string{fmt.Sprintf(ticketOperations, "/v")}
	for i := 2; i < operations; i += 2 {
		paths = append(paths, fmt.Sprintf(ticketOperations, fmt.Sprintf("/v%d", i)))
	}
	return `{"openapi":"3.1.0","info":{"title":"Tickets","version":"1"},"paths":{` + strings.Join(paths, ",") + `},
"components":{"schemas":{"Ticket":{"type":"object","required":["title","priority"],"additionalProperties":false,"properties":{
  "title":{"type":"string","minLength":1,"maxLength":200},
  "priority":{"enum":["low","medium","high"]},
  "customer":{"type":"string","format":"uuid"},
  "description":{"type":"string","maxLength":5000},
  "tags":{"type":"array","maxItems":10,"items":{"type":"string"}},
  "due":{"type":"string","format":"date-time"},
  "estimate":{"type":"number","minimum":0}}}}}}`
}

// validated is bare with a document of the service, against which requests and answers are
// held.
func validated(operations int) conf {
	c := bare()["yett"]
	c.Files = map[string]func() string{"openapi.json": func() string { return ticketDocument(operations) }}
	c.Service = "openapi: {file: openapi.json}"
	c.Route += "\npolicies: {validate: {mode: enforce, unknown: refuse}}"
	return c
}

// validateCase is what it costs to hold a request and its answer against a document, of few
// operations and of many. most is what it may cost, as a multiple of what it costs not to.
func validateCase(name, about string, r request, want answer, most float64) benchCase {
	const few, many = 2, 10_000
	off := validated(few)
	off.Route = bare()["yett"].Route
	return benchCase{
		Name: name, About: about, Request: r, Want: want,
		Conf: map[string]conf{"yett": validated(few)},
		Variants: []variant{
			{Of: "yett", Name: "unchecked", Conf: off},
			{Of: "yett", Name: "10000 operations", Conf: validated(many)},
		},
		Targets: []target{{"yett", "yett (unchecked)", most}, {"yett (10000 operations)", "yett", 1.05}},
	}
}

// validateGetCase has parameters in the path and in the query, and an answer of JSON.
func validateGetCase() benchCase {
	return validateCase("validate-get", "parameters and an answer of JSON held against an OpenAPI document",
		request{Method: "GET", Path: ticketPath + "?limit=20&state=open&fields=title,priority"},
		answer{Status: http.StatusOK, Body: int64(len(ticket))}, 1.2)
}

// validatePostCase has JSON both ways.
func validatePostCase() benchCase {
	return validateCase("validate-post", "JSON both ways held against an OpenAPI document",
		request{Method: "POST", Path: ticketsPath, JSON: ticket},
		answer{Status: http.StatusCreated, Body: int64(len(ticket))}, 1.3)
}
