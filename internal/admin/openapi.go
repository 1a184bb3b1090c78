package admin

import (
	_ "embed"
	"fmt"
	"sync"

	"yett/internal/openapi"
)

// fragment describes the endpoints, each under its name as a path.
//
//go:embed openapi.yaml
var fragment []byte

// document is read when somebody wants it first. That it can be is what a test sees to.
var document = sync.OnceValue(func() *openapi.Document {
	d, err := openapi.Parse("openapi.yaml", fragment, openapi.DefaultLimits())
	if err != nil {
		panic(fmt.Sprintf("admin: %v", err))
	}
	return d
})

// Operations returns the path item of an endpoint by its name in the configuration: what it
// takes and answers by which method, of which get stands for HEAD too. Where an endpoint
// answers something else under a path that ends in .json or .yaml, that is behind its name.
// It is nil for an endpoint that is not of this package. References lead to Components. The
// node is the caller's.
func Operations(endpoint string) *openapi.Node {
	return document().Root.At("paths", "/"+endpoint).Clone()
}

// Components returns the components that Operations refer to, with GatewayError, the shape of
// every refusal. Their names begin with Gateway. The node is the caller's.
func Components() *openapi.Node {
	return document().Root.Get("components").Clone()
}
