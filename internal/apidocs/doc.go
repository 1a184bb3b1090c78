// Package apidocs makes the gateway's OpenAPI document: of its own routes, of what the
// services' documents say, and of what the gateway adds to that (who may call, limits,
// refusals, headers). It serves the document and a page to try it out.
//
// A document belongs to a snapshot and to what is known of the services at the time. It is
// made in the background when either changes; requests get the one that is there.
package apidocs
