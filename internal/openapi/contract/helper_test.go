package contract

import (
	"testing"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// parse reads a document of a test.
func parse(t testing.TB, text string) *openapi.Document {
	t.Helper()
	d, err := openapi.Parse("test.yaml", []byte(text), openapi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	d.Upgrade()
	return d
}

// compile compiles a document that has no problems.
func compile(t testing.TB, text string) *Contract {
	t.Helper()
	c, problems := Compile(parse(t, text))
	if len(problems) > 0 {
		t.Fatalf("problems:\n%v", problems)
	}
	return c
}

// request makes an exchange.
func request(method, path, query, body string, fields ...string) *exchange.Exchange {
	x := &exchange.Exchange{Method: method, Path: path, RawPath: path, Query: query}
	for i := 0; i+1 < len(fields); i += 2 {
		x.Request.Add(fields[i], fields[i+1])
	}
	if body != "" {
		x.RequestBody.SetBytes([]byte(body))
	}
	return x
}

// bytesOf returns nil for no body, as a policy does that has nothing to read.
func bytesOf(body string) []byte {
	if body == "" {
		return nil
	}
	return []byte(body)
}
