// Package openapi reads, changes and writes OpenAPI documents (versions 3.0 and 3.1). A
// document is a tree of nodes that know their places, so that what is wrong can be named
// by line and column, and what nobody looks at passes through as it was written.
//
// What comes from elsewhere is hostile until it is read: Parse bounds its size, depth and
// number of values, and takes no reference that leads out of the document.
package openapi
