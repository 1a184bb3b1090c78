// Package config is what an operator writes: plain types, decoded strictly.
//
// Load and Parse read YAML and report every mistake in one answer, each with
// file, line, column and a hint. What they return is complete in itself, with
// defaults filled in, but not yet checked for sense: whether a named service
// exists, or two routes collide, is for the packages that compile it, and they
// name the place of a mistake with Config.Source.
//
// The types say everything that is known about a key, by tags:
//
//	yaml      name of the key
//	doc       meaning, for the schema and the reference
//	required  "true": the key must be there, and not be empty
//	enum      the words that are allowed, separated by commas
//	min, max  bounds, in the type's own notation: 10, 64KB, 1m30s
//
// On a list or mapping, enum, min and max are about its elements.
//
// A default is a Go value, set by the type's SetDefaults. The policies'
// configuration types follow the same rules and are decoded by Node.Decode.
package config
