package config

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema(samplePolicies())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("yett.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("yett.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON returns a YAML document as an editor shows it to a schema.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestSchemaAccepts(t *testing.T) {
	schema := compileSchema(t)
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"full.yaml": string(full), "minimal": minimal} {
		if err := schema.Validate(asJSON(t, []byte(text))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaRefuses holds that the schema sees what a schema can see.
func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	visible := strings.Fields(`text-at-root list-at-root null-at-root unknown-key unknown-key-deep unknown-key-everywhere missing-keys
		missing-everything required-empty no-auth auth-misspelt enum-number enum-in-list null-value duration-number duration-words size
		integer integer-range bool text-for-list list-for-text mapping-for-list list-for-mapping text-for-mapping mapping-for-texts
		policies policies-list headers default-of-wrong-type`)
	files := make(map[string][]byte)
	for _, f := range archive.Files {
		files[f.Name] = f.Data
	}
	for _, name := range visible {
		text, ok := files[name+"/yett.yaml"]
		switch {
		case !ok:
			t.Errorf("no case %s", name)
		case name == "default-of-wrong-type": // a text with a variable may be anything
		case schema.Validate(asJSON(t, text)) == nil:
			t.Errorf("%s passes the schema", name)
		}
	}
}

func TestSchemaOfPolicies(t *testing.T) {
	schema := compileSchema(t)
	for policies, want := range map[string]bool{
		`{"cors": {"origins": "*"}}`: true,
		`{"cors": {"origins": ["*"], "ratio": "${R}", "extra": [1, {"a": 2}]}}`: true,
		`{"cors": {"origins": ["*"], "max_age": "${AGE:-5}s", "burst": 1}}`:     true,
		`{"cors": "off"}`:                                true,
		`{"cors": false}`:                                true,
		`{"cors": "${CORS:-off}"}`:                       true,
		`{"gzip": null}`:                                 true,
		`{"gzip": {}}`:                                   true,
		`{"cors": null}`:                                 false, // origins is required
		`{"cors": {}}`:                                   false,
		`{"cors": true}`:                                 false,
		`{"cors": "on"}`:                                 false,
		`{"cors": {"origins": []}}`:                      false,
		`{"cors": {"origins": "*", "ratio": 2}}`:         false,
		`{"cors": {"origins": "*", "burst": 0}}`:         false,
		`{"cors": {"origins": "*", "max_age": 5}}`:       false,
		`{"cors": {"origins": "*", "levels": {"a": 0}}}`: false,
		`{"cors": {"origins": "*", "tiers": [{}]}}`:      false,
		`{"csrf": {}}`:                                   false,
	} {
		for _, place := range []string{
			`{"listeners": [{"address": ":0"}], "routes": [{"name": "a", "path": "/", "auth": "none"}], "policies": POLICIES}`,
			`{"listeners": [{"address": ":0"}], "routes": [{"name": "a", "path": "/", "auth": "none", "policies": POLICIES}]}`,
		} {
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(place, "POLICIES", policies, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); (err == nil) != want {
				t.Errorf("%s: %v, want valid %v", policies, err, want)
			}
		}
	}
}

func TestSchemaShowsDefaults(t *testing.T) {
	text, err := Schema(samplePolicies())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Schema(samplePolicies())
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the schema differs from one time to the next, %v", err)
	}
	type part struct {
		Default     any
		Description string
		Properties  map[string]part
		Items       *part
		More        any `json:"additionalProperties"`
	}
	var root struct {
		part
		Defs map[string]part `json:"$defs"`
	}
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	listener := root.Properties["listeners"].Items.Properties
	cors := root.Defs["policy_cors"].Properties
	for name, got := range map[string]struct{ got, want any }{
		"name":        {root.Properties["name"].Default, "yett"},
		"header":      {listener["limits"].Properties["header"].Default, "32KB"},
		"bounds":      {strings.HasSuffix(listener["limits"].Properties["header"].Description, "From 256 to 1MB."), true},
		"idle":        {listener["timeouts"].Properties["idle"].Default, "1m15s"},
		"min_version": {listener["tls"].Properties["min_version"].Default, "1.2"},
		"max_age":     {cors["max_age"].Default, "1m"},
		"ratio":       {cors["ratio"].Default, 0.5},
		"burst":       {cors["burst"].Default, nil},
		"limit":       {cors["tiers"].Items.Properties["limit"].Default, 5.0},
		"closed":      {root.More, false},
	} {
		if !reflect.DeepEqual(got.got, got.want) {
			t.Errorf("%s: got %v, want %v", name, got.got, got.want)
		}
	}
}

// TestSchemaFaults holds that mistakes in the tags of a policy are found by
// whoever generates the schema, not by an operator.
func TestSchemaFaults(t *testing.T) {
	type loop struct {
		Again []loop `yaml:"again" doc:"Again."`
	}
	for want, kind := range map[string]any{
		"build the schema: p.a: no doc tag": &struct {
			A string `yaml:"a"`
		}{},
		"build the schema: p.A: no yaml tag": &struct{ A string }{},
		`build the schema: p.a: the bound "5" is no config.Duration: add a unit: 5s for seconds, 5ms for milliseconds`: &struct {
			A Duration `yaml:"a" doc:"A." min:"5"`
		}{},
		`build the schema: p.a: string has no order for the bound "5"`: &struct {
			A []string `yaml:"a" doc:"A." max:"5"`
		}{},
		"build the schema: p.a: the default 9 is out of bounds": &struct {
			A int `yaml:"a" doc:"A." max:"5"`
		}{9},
		"build the schema: p.a: the type chan int can't be configured": &struct {
			A chan int `yaml:"a" doc:"A."`
		}{},
		"build the schema: policy p: its configuration is no pointer to a struct": 5,
		"build the schema: p.again.again":                                         &loop{},
	} {
		_, err := Schema(map[string]any{"p": kind})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
