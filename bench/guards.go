package main

// guardsCase is what everything that guards a service costs a request that needs
// none of it: breaker with ratios, ejection, budget of retries, hedging, bound
// of requests in flight, two targets.
func guardsCase() benchCase {
	plain := bare()["yett"]
	off := plain
	off.Service = "breaker: {mode: off}\nretries: {most: 0}\nejection: {failures: 0}"
	on := plain
	// Another name for the same address: the gateway takes it for a target of its own.
	on.Targets = []string{"localhost"}
	on.Service = "breaker: {slow_call: 10s, failure_ratio: 50%}\n" +
		"ejection: {slower_than: 5}\n" +
		"retries: {most: 2, on: [connect, reset, 502-504]}\n" +
		"hedge: {after: 5s, percentile: 99}\n" +
		"concurrency: {max: 10000, adaptive: true, least: 5000}"
	return benchCase{
		Name: "guards", About: "breaker, ejection, budget of retries, hedging and a bound of requests in flight, none of which is needed",
		Request: request{Method: "GET", Path: "/b/200"}, Want: ok(200),
		Conf: map[string]conf{"yett": on, "nginx": bare()["nginx"]},
		Variants: []variant{
			{Of: "yett", Name: "none", Conf: off},
			{Of: "yett", Name: "as it comes", Conf: plain},
		},
		Targets: []target{{"yett", "yett (none)", 1.05}, {"yett", "nginx", 1}},
	}
}
