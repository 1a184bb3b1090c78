package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"

	"yett/internal/openapi"
)

// field is what a document says of how one member of a form is written (OpenAPI 3.1, see
// Encoding Object).
type field struct {
	contentType string
	style       style
	explode     bool
	styled      bool
}

func fieldsOf(encoding *openapi.Node) map[string]field {
	if len(encoding.Pairs()) == 0 {
		return nil
	}
	fields := make(map[string]field, len(encoding.Members))
	for _, m := range encoding.Members {
		e := field{contentType: m.Value.Str("contentType"), explode: true}
		if s, ok := styleOf(m.Value.Str("style"), "query"); ok {
			e.style, e.styled, e.explode = s, true, s == styleForm || s == styleDeep
		}
		if x := m.Value.Get("explode"); x.Is(openapi.Bool) {
			e.explode, e.styled = x.Text == "true", true
		}
		fields[m.Name] = e
	}
	return fields
}

// isJSON tells whether a member of a form is written as JSON: as said, or because it can
// only be an object.
func (m *media) isJSON(name string) bool {
	e, ok := m.fields[name]
	switch {
	case ok && e.contentType != "":
		return mediaKindOf(e.contentType) == jsonMedia
	case ok && e.styled:
		return false
	}
	return m.check.schema.member(name).takes() == kindObject
}

// maxParts is how many fields or parts a form may have.
const maxParts = 1000

// form checks application/x-www-form-urlencoded.
func (m *media) form(body string, f *findings) {
	switch {
	case m.check.trivial():
		return
	case f.brief: // members are never read at a glance
		f.doubt = true
		return
	}
	c := parts{media: m, members: members{schema: m.check.schema, of: map[string]any{}}}
	n := 0
	for rest := body; rest != ""; n++ {
		var key, raw string
		key, raw, rest = nextPair(rest)
		if key == "" && raw == "" {
			continue
		}
		if n >= maxParts {
			f.add("", fmt.Sprintf("has more than %d fields", maxParts))
			return
		}
		name, ok := decodeText(nil, key, true)
		if !ok {
			f.add("", encoding)
			return
		}
		if what := c.field(name, raw); what != "" {
			f.add(pointer([]string{name}), what)
			return
		}
	}
	c.check(m.check, f)
}

// parts collects the members of a form.
type parts struct {
	members
	media *media
}

// field adds a field whose value is raw. It returns what is wrong with it.
func (c *parts) field(name, raw string) string {
	e, said := c.media.fields[name]
	if said && e.styled && !e.explode {
		p := param{in: "query", style: e.style}
		for _, piece := range p.separator().split(raw) {
			text, ok := decodeText(nil, piece, true)
			if !ok {
				return encoding
			}
			c.set(name, text)
		}
		return ""
	}
	text, ok := decodeText(nil, raw, true)
	if !ok {
		return encoding
	}
	if owner, inside, found := strings.Cut(name, "["); found && c.media.fields[owner].style == styleDeep {
		return c.deep(owner, inside, text)
	}
	return c.add(name, text, c.media.isJSON(name))
}

// deep adds a field such as owner[name].
func (c *parts) deep(owner, inside, text string) string {
	of, _ := c.of[owner].(map[string]any)
	if of == nil {
		of = map[string]any{}
		c.of[owner] = of
	}
	d := deep{schema: c.schema.member(owner), of: of}
	return d.set(strings.Split(inside, "["), text)
}

func (c *parts) add(name, text string, isJSON bool) string {
	if !isJSON {
		c.set(name, text)
		return ""
	}
	v, wrong := decodeJSON(text)
	if wrong != nil {
		return wrong.Message
	}
	s := c.schema.member(name)
	old, there := c.of[name]
	if k := s.takes(); k&^containers == 0 && k&kindArray != 0 {
		if _, whole := v.([]any); !whole || there {
			items, _ := old.([]any)
			c.of[name] = append(items, v)
			return ""
		}
	}
	if there {
		return twice
	}
	c.of[name] = v
	return ""
}

// multipart checks multipart/form-data: which parts are there, and what they say as far as
// they are texts or JSON. Files are taken as texts of their bytes.
func (m *media) multipart(body []byte, contentType string, f *findings) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		f.at("header", "/Content-Type").add("", "lacks the boundary of the parts")
		return
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	c := parts{media: m, members: members{schema: m.check.schema, of: map[string]any{}}}
	for n := 0; ; n++ {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && (n > 0 || bytes.Contains(body, []byte("--"+params["boundary"]))) {
			break
		}
		if err != nil {
			f.add("", "is no multipart/form-data that can be read")
			return
		}
		if n >= maxParts {
			f.add("", fmt.Sprintf("has more than %d parts", maxParts))
			return
		}
		if !c.part(part, f) {
			return
		}
	}
	c.check(m.check, f)
}

// part adds a part. It returns false when reading has to stop.
func (c *parts) part(part *multipart.Part, f *findings) bool {
	name := part.FormName()
	if name == "" {
		f.add("", "has a part without a name")
		return false
	}
	data, err := io.ReadAll(part)
	if err != nil {
		f.add("", "ends in the middle of a part")
		return false
	}
	given := part.Header.Get("Content-Type")
	if want := c.media.fields[name].contentType; want != "" && given != "" && !accepts(want, given) {
		f.add(pointer([]string{name}), "has to be of the type "+want)
		return true
	}
	if otherCharset(given) {
		f.add(pointer([]string{name}), "has a charset that can't be read here: it has to be UTF-8")
		return true
	}
	text := string(data)
	if !utf8.ValidString(text) { // a file: each byte counts as a character
		text = strings.Repeat("?", len(text))
	}
	isJSON := given == "" && c.media.isJSON(name) || mediaKindOf(given) == jsonMedia && part.FileName() == ""
	if what := c.add(name, text, isJSON); what != "" {
		f.add(pointer([]string{name}), what)
		return false
	}
	return true
}

// accepts tells whether a list of media types, or ranges of them, has one.
func accepts(list, given string) bool {
	major, minor, _ := strings.Cut(mediaType(given), "/")
	for want := range strings.SplitSeq(list, ",") {
		wantMajor, wantMinor, _ := strings.Cut(strings.ToLower(mediaType(want)), "/")
		if m := (media{major: wantMajor, minor: wantMinor}); m.fits(major, minor) > 0 {
			return true
		}
	}
	return false
}
