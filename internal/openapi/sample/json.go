package sample

import (
	"yett/internal/jsontext"
	"yett/internal/openapi"
)

// appendJSON appends a value as JSON without blanks.
func appendJSON(b []byte, n *openapi.Node) []byte {
	switch n.Kind {
	case openapi.String:
		return jsontext.AppendQuoted(b, n.Text)
	case openapi.Bool, openapi.Number:
		return append(b, n.Text...)
	case openapi.Array:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case openapi.Object:
		b = append(b, '{')
		for i, m := range n.Members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsontext.AppendQuoted(b, m.Name), ':')
			b = appendJSON(b, m.Value)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}
