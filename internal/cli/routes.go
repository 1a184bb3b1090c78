package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/snapshot"
)

func (p Process) routesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "List the routes, the most specific first",
		Long: `Routes lists what a configuration serves, in the order in which routes are preferred:
of two that fit a request, the upper one takes it.`,
		Example: `  yett routes
  yett routes -c examples/psa/yett.yaml --json`,
		Args: fileIsFlag,
	}
	file := p.configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		snap, err := app.Check(p.options(file()))
		if err != nil {
			return explain(err, "there are no routes to list")
		}
		rows := routeRows(snap)
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), rows)
		}
		return printRoutes(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// routeRow is one host and path of a route.
type routeRow struct {
	Name       string   `json:"name"`
	Host       string   `json:"host,omitempty"` // empty for every host
	Path       string   `json:"path"`
	Methods    []string `json:"methods,omitempty"` // empty for all
	Conditions []string `json:"conditions,omitempty"`
	Auth       string   `json:"auth"`
	Answers    answerer `json:"answers"`
}

// answerer is who answers: one of a service, a page of the gateway, a policy.
type answerer struct {
	Service string `json:"service,omitempty"`
	// Split are the services that get a share of the requests, Mirror the one that gets copies.
	Split    []shareRow `json:"split,omitempty"`
	Mirror   *shareRow  `json:"mirror,omitempty"`
	Endpoint string     `json:"endpoint,omitempty"`
	Policy   string     `json:"policy,omitempty"`
}

// shareRow is a service and its share of the requests.
type shareRow struct {
	Service string `json:"service"`
	Share   string `json:"share"`
}

// String is the answerer in a few words.
func (a answerer) String() string {
	switch {
	case a.Service != "":
		text := "service " + a.Service
		for _, s := range a.Split {
			text += ", " + s.Share + " " + s.Service
		}
		if a.Mirror != nil {
			text += ", copies of " + a.Mirror.Share + " to " + a.Mirror.Service
		}
		return text
	case a.Endpoint != "":
		return "endpoint " + a.Endpoint
	}
	return "policy " + a.Policy
}

func routeRows(snap *snapshot.Snapshot) []routeRow {
	var rows []routeRow
	for _, r := range snap.Rows() {
		c := snap.RouteConfig(r.Index)
		rows = append(rows, routeRow{
			Name: r.Name, Host: r.Host, Path: r.Path, Methods: r.Methods, Conditions: r.Conditions, Auth: c.Auth,
			Answers: answererOf(c, snap.Config.Policies),
		})
	}
	return rows
}

func answererOf(c config.Route, global config.Policies) answerer {
	a := answerer{Service: c.Service, Endpoint: c.Endpoint, Policy: answering(c.Policies, global)}
	if c.Split != nil {
		for _, e := range c.Split.To {
			a.Split = append(a.Split, shareRow{e.Name, e.Value.String()})
		}
	}
	if c.Mirror != nil {
		a.Mirror = &shareRow{c.Mirror.Service, c.Mirror.Share.String()}
	}
	return a
}

// answering returns the policy that replies on a route by itself, or "".
func answering(own, global config.Policies) string {
	for _, e := range slices.Concat(own, global) {
		if mine, ok := own.Get(e.Name); ok && mine.Off || e.Off {
			continue
		}
		if kind := catalog.Lookup(e.Name); kind != nil && kind.Answers {
			return e.Name
		}
	}
	return ""
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

func printRoutes(w io.Writer, rows []routeRow) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tMETHODS\tPATH\tCONDITIONS\tAUTH\tANSWERS\tNAME")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(r.Host, "*"),
			cmp.Or(strings.Join(r.Methods, ","), "*"), r.Path, cmp.Or(strings.Join(r.Conditions, ", "), "-"),
			r.Auth, r.Answers, r.Name)
	}
	return table.Flush()
}
