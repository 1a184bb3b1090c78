package main

import (
	_ "embed"
	"strings"
)

//go:embed notes.md
var notesText string

// notes are written by hand: why a target is not reached, by its name.
func notes(text string) map[string]string {
	out := make(map[string]string)
	_, rest, _ := strings.Cut("\n"+text, "\n## ")
	for section := range strings.SplitSeq(rest, "\n## ") {
		name, body, _ := strings.Cut(section, "\n")
		if name = strings.TrimSpace(name); name != "" {
			out[name] = strings.TrimSpace(body)
		}
	}
	return out
}
