// Package mock is the policy mock: a route answers from the OpenAPI document of its service,
// and the service is not asked. A front end can be built before the service is there. The
// answers are the document's examples, or values made of its schemas where there are none;
// the same request always gets the same answer.
//
//	policies:
//	  mock:
//	    status: 200
//	    example: overdue
//	    delay: 0s
//	    prefer: true
//
// All of it may be left out. status is which of the documented answers is sent, the first
// one that means success when it is missing. example names one of its examples; operations
// that have none of that name answer as if it were not written. delay is how long a caller
// waits, such as 150ms, as with a real service.
//
// With prefer, callers may choose (RFC 7240): "Prefer: code=404" for another documented
// answer, "Prefer: example=overdue" for another example, or both. What was done so stands in
// Preference-Applied. Whoever asks for what is not documented gets 400, with what is.
//
// Accept chooses between the documented types of content. A property at the top of an answer
// that is named like a parameter of the path, such as id, has the caller's value where that
// fits the schema. Documented headers come with their examples, but for Set-Cookie: who writes
// a document must not log callers in. Content in which browsers run scripts, such as HTML and
// SVG, comes with a Content-Security-Policy that forbids it.
//
// Every answer has the header X-Mock: example, schema, or empty for one without content, so
// that nobody takes it for the service's. What is not documented is answered with 404 or 405.
// All other policies of the route count as ever: who may not call the service does not get
// an answer here either.
package mock
