// Package respond is the policy respond: the gateway answers by itself, with
// fixed words or with some that it fills in. A route that has it needs no
// service. It is for status pages, notices, redirects and stubs.
//
//	policies:
//	  respond:
//	    status: 200
//	    json:
//	      service: "{gateway.name}"
//	      version: "{gateway.version}"
//	      you: "{identity.subject}"
//	      name: "{identity.email|guest}"
//	      may: "{identity.permissions}"
//	      tags: [public, 1, true]
//	    headers:
//	      Cache-Control: no-store
//
// json is any value; text is the alternative, as it stands, with content_type
// beside it. Neither gives an answer without content, such as a redirect.
//
// Texts, values of headers, and strings within json may hold placeholders:
//
//	{gateway.name} {gateway.version}   this gateway
//	{request_id} {time}                the ID, and when the request came (UTC, milliseconds)
//	{method} {host} {path} {query}     of the request; path is the normalised one
//	{path.NAME}                        a value of the route's path, {path.**} what stood for **
//	{client.ip}                        the caller's address
//	{identity.subject} {identity.email} {identity.role} {identity.tenant}
//	{identity.roles} {identity.permissions} {identity.scopes}   lists, with commas between
//
// {{ is a literal brace; a closing brace needs nothing. A value that isn't
// there is empty, or what stands after a bar: {identity.email|guest}. The names
// that can be empty take one: identity.*, path.NAME, query, host, request_id.
//
// A string of json that is nothing but one identity placeholder becomes null
// when there is no such value, so that readers can tell a guest; a list becomes
// an array of strings, empty when there is nothing in it. With a bar it stays a
// string: "{identity.email|}" is "" for a guest.
//
// What callers send can't leave its place: values are escaped for JSON, for
// HTML and XML where content_type says so, and for headers, where bytes other
// than visible ASCII are percent-encoded.
package respond
