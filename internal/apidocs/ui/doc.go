// Package ui is the page on which people read the gateway's OpenAPI document and try it
// out: Swagger UI, embedded, with a small bar and a form for tokens around it.
//
// Nothing of it comes from elsewhere, and nothing goes elsewhere: its
// Content-Security-Policy allows scripts, styles and calls of its own origin only, and
// none that stand in the page. docs/decisions/0018-swagger-ui.md says why it is this one.
package ui
