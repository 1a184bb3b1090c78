package ratelimit

import (
	"yett/internal/openapi"
	"yett/internal/policy"
)

// Describe implements policy.Describer. It speaks for all parts of the policy: where there
// is another one, there is this one too.
func (p *limits) Describe(d *policy.Description) {
	if p.observes {
		return
	}
	refuses, closed, tells := false, false, false
	for _, l := range p.limits {
		f := l.Facts(p.cost)
		if !f.Enforced || p.unknown && !f.Anonymous {
			continue
		}
		refuses, closed, tells = true, closed || f.Closed, tells || f.Fields
		if f.Shown {
			d.Limits = append(d.Limits, policy.LimitNote{Name: l.Name(), Rule: f.Rule})
		}
	}
	if !refuses {
		return
	}
	d.Refuse(rateLimited)
	statuses := []int{rateLimited.Status}
	if closed {
		d.Refuse(limitsUnavailable)
		statuses = append(statuses, limitsUnavailable.Status)
	}
	if tells {
		d.ResponseHeaders = append(d.ResponseHeaders, p.fields.describe()...)
	}
	d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
		Name: "Retry-After", Description: "Seconds after which there is enough again.", Schema: number(1), Only: statuses,
	})
}

// describe returns the fields that some listener sends.
func (f *fieldsByListener) describe() []policy.HeaderNote {
	sent := map[fields]bool{f.all: true} // which some listener has, or all of them
	for _, how := range f.names {
		sent[how] = true
	}
	old, lists := sent[legacy], sent[structured]
	var notes []policy.HeaderNote
	add := func(there bool, name, description string, schema *openapi.Node) {
		if there {
			notes = append(notes, policy.HeaderNote{Name: name, Description: description, Schema: schema})
		}
	}
	about := "The limit that is nearest to its end, and its window in seconds."
	example := "1000;w=900"
	if lists {
		about, example = "The limits, as a list: the name of each, how much there is (q), and its window in seconds (w).", `"user";q=1000;w=900`
	}
	if lists && old {
		about += " From some addresses of the gateway only the limit that is nearest to its end, as 1000;w=900."
	}
	add(old || lists, "RateLimit-Policy", about, openapi.NewObject("type", "string", "examples", openapi.NewStrings(example)))
	add(old, "RateLimit-Limit", "How much of that limit there is.", number(0))
	add(old, "RateLimit-Remaining", "How much of it is left.", number(0))
	add(old, "RateLimit-Reset", "Seconds until more of it is there.", number(0))
	add(lists, "RateLimit", "How much of each limit is left (r), and in how many seconds more is there (t).",
		openapi.NewObject("type", "string", "examples", openapi.NewStrings(`"user";r=999;t=900`)))
	return notes
}

func number(least int) *openapi.Node {
	return openapi.NewObject("type", "integer", "minimum", least)
}
