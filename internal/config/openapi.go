package config

import "time"

// OpenAPI says where the document of a service is. One of Path, URL and File is set where
// there is one.
type OpenAPI struct {
	Path    string   `yaml:"path" doc:"Path of the document at the service itself, such as /openapi.json. It is asked for through the service's targets, as any request is."`
	URL     string   `yaml:"url" doc:"Address of the document where it is elsewhere, as http:// or https://. Redirects are not followed."`
	File    string   `yaml:"file" doc:"File with the document, as JSON or YAML, relative to the configuration file."`
	Refresh Duration `yaml:"refresh" min:"1s" max:"24h" doc:"How often it is looked for a new one. After a failure it is tried again sooner, and the last good one counts."`
	Timeout Duration `yaml:"timeout" min:"10ms" max:"5m" doc:"How long fetching it may take."`
	MaxSize Size     `yaml:"max_size" min:"1KB" max:"64MB" doc:"Largest document that is read."`
}

// SetDefaults has the document looked for every five minutes.
func (o *OpenAPI) SetDefaults() {
	o.Refresh, o.Timeout, o.MaxSize = Duration(5*time.Minute), seconds(10), 10*MB
}

// Named tells whether there is a document.
func (o *OpenAPI) Named() bool { return o.Path != "" || o.URL != "" || o.File != "" }

// Docs is what stands at the top of the gateway's own OpenAPI document.
type Docs struct {
	Title       string      `yaml:"title" doc:"Title of the document; the gateway's name when empty."`
	Version     string      `yaml:"version" doc:"Version of the API in the document; the version of the platform when empty, and unversioned where there is none either: an update of the gateway is no other API."`
	Description string      `yaml:"description" doc:"What stands below the title, as Markdown."`
	Servers     StringList  `yaml:"servers" doc:"Addresses under which callers reach the gateway, such as https://api.example.com, or a path such as /gateway where the document comes from. When empty, it is wherever the document comes from."`
	Contact     DocsContact `yaml:"contact" doc:"Whom callers may ask."`
	License     string      `yaml:"license" doc:"Name of the license under which the API may be used."`
	LicenseURL  string      `yaml:"license_url" doc:"Address of the license's text."`
}

// DocsContact is whom callers of the API may ask.
type DocsContact struct {
	Name  string `yaml:"name" doc:"Name of a team or person."`
	Email string `yaml:"email" doc:"Mail address."`
	URL   string `yaml:"url" doc:"Address of a page."`
}
