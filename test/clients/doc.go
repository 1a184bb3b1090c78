// Package clients tests the document of the example platform by the tools of
// others: a validator, two linters, and generators of clients in TypeScript and
// Go, whose clients then call the platform. These tools are in package-lock.json
// and in testdata/go/go.mod; the main module depends on none of them. Where they
// can't be fetched, tests are skipped and say so.
package clients
