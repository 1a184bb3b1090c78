package openapi

import "testing"

func TestIsJSON(t *testing.T) {
	for mediaType, want := range map[string]bool{
		"application/json": true, "Application/JSON ; charset=utf-8": true, "text/json": true, "application/problem+json": true,
		"application/vnd.a+JSON;v=1": true, "model/gltf+json": true, "application/*": false, "": false, "json": false, "image/json": false,
		"application/jsonl": false, "application/json-seq": false, "text/plain;a=+json": false, "application/+json": true, "application/xml": false,
	} {
		if got := IsJSON(mediaType); got != want {
			t.Errorf("%q: %t", mediaType, got)
		}
	}
}
