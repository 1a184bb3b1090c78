// Package validate is the policy validate: requests have to be what the service's OpenAPI
// document says. Parameters in path, query, headers and cookies, the content type and the
// body are held against the operation.
//
//	services:
//	  crm:
//	    targets: ["http://localhost:3002"]
//	    openapi: {path: /openapi.json}
//	policies:
//	  validate:
//	    mode: enforce      # or observe: only log and count
//	    body: 1MB          # larger bodies are refused
//	    unknown: pass      # or refuse what the document does not know
//	    answers: observe   # or off
//
// A refusal is a 400 that names everything which is wrong, by its place: "/items/0/price"
// in the body, "/limit" in the query. It never repeats what the caller sent at length.
//
// Answers are never refused: what is wrong with one stands in the log, and is counted. Only
// bodies whose length is known, and that are not compressed, are looked at, so that no stream
// is held up. What the gateway answers by itself, and what a fallback does, is not.
//
// Some requests reach the service unchecked all the same. A compressed body is checked by its
// type alone, and is counted. With `unknown: pass`, a path that the document does not have is nobody's operation, such as one
// with a slash too many at its end, or in capitals, though some services take it for the same:
// `unknown: refuse` closes that.
//
// As long as there is no document, because the service has not been reached yet or what it
// gave was no good, requests pass. On routes without a service, and for services without
// a document, the policy does nothing.
//
// It counts calls of each operation, and those that the document does not know: see
// `yett docs coverage`.
package validate
