// Package apidocs makes the gateway's OpenAPI document: of its own routes, of what the
// services' documents say, and of what the gateway adds to that (who may call, limits,
// refusals, headers). It serves the document and a page to try it out.
//
// The way from a snapshot and the services' documents to the gateway's, file by file:
//
//	snapshot, documents             hub.go         waits for changes, keeps the last Edition
//	  │  Merge                      merge.go       the frame, services in the order of the file
//	  │  own                        own.go         what the gateway answers itself comes first
//	  │  for each service           service.go
//	  │  ├ tracer.ways              reach.go       an operation → the paths by which callers get to it
//	  │  ├ translate                operation.go   parameters, body, words, x-yett
//	  │  │  ├ facts                 facts.go       what the policies of a route say of themselves
//	  │  │  ├ responses             answers.go     the service's answers, the gateway's refusals
//	  │  │  └ security              security.go    the gateway's tokens and the service's schemes
//	  │  └ importer                 importer.go    copies parts, and what they refer to, under new names
//	  ▼
//	Merged → Edition                edition.go     3.1 and 3.0, JSON and YAML, written when asked for
//
// Three rules keep the document true:
//
//   - Nothing is guessed about routes. What a path might be to callers is tried out: a request
//     for it is matched as any other, rewritten as any other, and looked up in the service's
//     contract. It is shown if that ends at the operation (tracer.leads).
//   - Nothing comes along that nobody refers to. An importer starts from operations that are
//     shown, so what belongs to others, or to fields that the gateway sets itself, stays out.
//   - Names depend on the service alone: components and operations have its name in front, so
//     that a client that was generated stays the same when another service comes or goes.
//
// A document belongs to a snapshot and to what is known of the services at the time. It is
// made in the background when either changes; requests get the one that is there.
package apidocs
