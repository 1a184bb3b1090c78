// Package sample makes what an answer could look like: values that fit a schema, and whole
// answers of an operation, from the examples of a document or from its schemas. The same
// document always gives the same ones.
package sample
