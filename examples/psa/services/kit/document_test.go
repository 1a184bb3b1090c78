package kit_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

const writtenDocument = "openapi: 3.1.0\ninfo: {title: Things, version: '1.0'}\npaths: {}\n"

func documented(t *testing.T) kittest.Client {
	t.Helper()
	document, err := kit.ParseDocument([]byte(writtenDocument))
	if err != nil {
		t.Fatal(err)
	}
	router := newRouter(t)
	router.Document(document)
	return kittest.Client{Handler: router}
}

func TestDocumentInBothForms(t *testing.T) {
	client := documented(t)
	for path, want := range map[string]struct{ media, text string }{
		kit.DocumentJSON: {"application/json", `{"openapi":"3.1.0","info":{"title":"Things","version":"1.0"},"paths":{}}`},
		kit.DocumentYAML: {"application/yaml", writtenDocument},
	} {
		got := client.Do(t, "GET", path, "").Want(t, 200)
		if string(got.Body) != want.text || got.Header.Get("Content-Type") != want.media {
			t.Errorf("%s: %s %q, want %s %q", path, got.Header.Get("Content-Type"), got.Body, want.media, want.text)
		}
		head := client.Do(t, "HEAD", path, "").Want(t, 200)
		if len(head.Body) > 0 || head.Header.Get("ETag") != got.Header.Get("ETag") {
			t.Errorf("HEAD %s: body %q, ETag %q", path, head.Body, head.Header.Get("ETag"))
		}
		again := httptest.NewRequest("GET", path, nil)
		again.Header.Set("If-None-Match", got.Header.Get("ETag"))
		if same := kittest.Send(client.Handler, again).Want(t, 304); len(same.Body) > 0 {
			t.Errorf("%s: a 304 with the body %q", path, same.Body)
		}
		client.Do(t, "POST", path, "{}").WantError(t, 405, kit.CodeMethodNotAllowed, "POST")
	}
}

func TestBadDocument(t *testing.T) {
	for _, text := range []string{"", "openapi: [", "info: {}", "- openapi"} {
		if _, err := kit.ParseDocument([]byte(text)); err == nil || !strings.Contains(err.Error(), "OpenAPI document") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
