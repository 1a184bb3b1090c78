package services_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Generators make a function of each operation and a gateway shows all documents as one, so no two have the same name.
func TestDocumentsOfThePlatform(t *testing.T) {
	platform, client, _ := start(t)
	seen := map[string]string{}
	for addr, version := range map[string]string{
		platform.AuthAddr: "3.1.", platform.CRMAddr: "3.1.", platform.TicketsAddr: "3.0.", // both are met
	} {
		var document struct {
			OpenAPI string
			Paths   map[string]map[string]json.RawMessage
		}
		response := call(t, client, "GET", "http://"+addr+"/openapi.json", "", "")
		if err := json.NewDecoder(response.Body).Decode(&document); err != nil || !strings.HasPrefix(document.OpenAPI, version) {
			t.Errorf("%s: version %q, want %s (%v)", addr, document.OpenAPI, version, err)
		}
		for path, item := range document.Paths {
			for method, text := range item {
				var operation struct{ OperationID string }
				if method == "parameters" {
					continue
				}
				if err := json.Unmarshal(text, &operation); err != nil || operation.OperationID == "" || seen[operation.OperationID] != "" {
					t.Errorf("%s %s: operationId %q, which %q has too (%v)", method, path, operation.OperationID, seen[operation.OperationID], err)
				}
				seen[operation.OperationID] = method + " " + path
			}
		}
	}
}
