//go:build linux

package e2e

import (
	"net/http"
	"slices"
)

// sources are how the services' documents are, by service, as the gateway's document says.
func (g *gateway) sources(client *http.Client) map[string]string {
	g.t.Helper()
	got := send(g.t, client, "GET", g.url+"/api-docs.json", "", http.Header{}).want(g.t, 200)
	doc := decode[struct {
		Sources []struct{ Service, State string } `json:"x-yett-sources"`
	}](g.t, got)
	all := make(map[string]string)
	for _, s := range doc.Sources {
		all[s.Service] = s.State
	}
	return all
}

// documented waits until the documents of all services that have one are there.
func (p *platform) documented() {
	p.t.Helper()
	eventually(p.t, "the services' documents are there", func() bool {
		all := p.sources(p.client)
		return !slices.ContainsFunc([]string{"auth", "users", "crm", "tickets"}, func(s string) bool { return all[s] != "good" })
	})
}

