package config

import "time"

// Limit is a rate limit, or a limit of requests that run at once. What it means is
// checked by package limit.
type Limit struct {
	Limit      int64    `yaml:"limit" min:"1" max:"1000000000" doc:"How much a caller may spend within window; a request costs 1 unless cost says otherwise."`
	Window     Duration `yaml:"window" min:"10ms" max:"744h" doc:"How long the window lasts."`
	Algorithm  string   `yaml:"algorithm" enum:"sliding_window,token_bucket,fixed_window" doc:"sliding_window: never more than limit within any window. token_bucket: burst at once, refilled at an even pace of limit in each window. fixed_window: a window begins with the first request after the last one has ended; up to twice the limit may pass around its border."`
	Burst      int64    `yaml:"burst" min:"1" max:"1000000000" doc:"Size of a token_bucket; limit when left out."`
	Concurrent int64    `yaml:"concurrent" min:"1" max:"1000000" doc:"How many requests of a caller may run at once, instead of limit and window. Each node has its share."`

	By         StringList    `yaml:"by" required:"true" doc:"Who is counted together: ip, user (the client's address for a caller whom nobody knows), tenant (the user for one without), role, api_key (X-API-Key, of which only a hash is kept; the client's address for a request without), route, service, host, method, header.NAME, path.NAME (a value of the route's path), or everyone alone. Several make a mix: each combination is counted by itself."`
	IPv4Prefix int           `yaml:"ipv4_prefix" min:"8" max:"32" doc:"How many bits of an IPv4 address make a caller."`
	IPv6Prefix int           `yaml:"ipv6_prefix" min:"16" max:"128" doc:"How many bits of an IPv6 address make a caller: who has one address has a /64."`
	For        StringList    `yaml:"for" doc:"Whose requests count: all, anonymous (those without a verified caller), known, min_role:ROLE (that role or one that also is it), role:ROLE (that very role), plan:PLAN, scope:SCOPE, tenant:TENANT. One of several is enough."`
	Callers    []CallerLimit `yaml:"callers" doc:"Other numbers for some callers: the first entry that fits counts."`
	Except     []Prefix      `yaml:"except" doc:"Networks whose requests don't count, as CIDR or address, such as those of your monitoring."`

	Counts     StringList `yaml:"counts" doc:"Statuses of answers that count, such as 401 or 400-599; all requests count when left out. Whether an answer counts is known only when it is there: no more requests of a caller run at once than are left, further ones wait for what becomes of those."`
	Cost       int64      `yaml:"cost" min:"1" max:"1000000" doc:"What a request costs."`
	Preflights bool       `yaml:"preflights" doc:"Count CORS preflights too."`

	Mode           string `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass."`
	Precision      string `yaml:"precision" enum:"exact,leased" doc:"exact asks the store for each request. leased takes from the store in small batches and hands them out on this node: never more than the limit, at the speed of memory; what a node has taken and does not use within a sixtieth of the window is lost. It makes no difference to a store in memory."`
	OnStoreFailure string `yaml:"on_store_failure" enum:"local,open,closed" doc:"While the store is lost: local goes on counting on each node, with the limit divided by the number of nodes; open lets pass; closed refuses with 503."`
	Fields         bool   `yaml:"fields" doc:"Tell clients about this limit in RateLimit fields."`
}

// CallerLimit is other numbers for some callers.
type CallerLimit struct {
	For        StringList `yaml:"for" required:"true" doc:"Whose requests, as in for of the limit."`
	Limit      int64      `yaml:"limit" min:"1" max:"1000000000" doc:"Instead of the limit's."`
	Burst      int64      `yaml:"burst" min:"1" max:"1000000000" doc:"Instead of the limit's."`
	Concurrent int64      `yaml:"concurrent" min:"1" max:"1000000" doc:"Instead of the limit's."`
	Unlimited  bool       `yaml:"unlimited" doc:"They are not limited at all."`
}

// SetDefaults is what most limits are.
func (l *Limit) SetDefaults() {
	*l = Limit{
		Algorithm: "sliding_window", IPv4Prefix: 32, IPv6Prefix: 64, Cost: 1,
		Mode: "enforce", Precision: "exact", OnStoreFailure: "local", Fields: true,
	}
}

// StoreMemory bounds what is kept in memory.
type StoreMemory struct {
	Keys int `yaml:"keys" min:"1000" max:"100000000" doc:"For how many callers what they have used of limits is kept, on each node. Beyond, who has used least is forgotten first. A million take 75 MB with a few requests each, and 140 MB at most."`
}

// SetDefaults keeps a million.
func (m *StoreMemory) SetDefaults() { m.Keys = 1_000_000 }

// Sentinel finds the primary of a group of servers.
type Sentinel struct {
	Primary   string     `yaml:"primary" required:"true" doc:"Name of the group, as the sentinels know it."`
	Addresses StringList `yaml:"addresses" required:"true" doc:"host:port of sentinels; one that answers is enough."`
	Username  string     `yaml:"username" doc:"User at the sentinels."`
	Password  string     `yaml:"password" doc:"Password at the sentinels; username and password of the servers are beside host."`
}

const defaultStoreTimeout = Duration(25 * time.Millisecond)
