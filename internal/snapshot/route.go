package snapshot

import (
	"slices"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/route"
	"yett/internal/upstream"
)

// names tells whether the method is among those that were written for the
// route.
func (r *Route) names(method string) bool { return slices.Contains(r.conf.Methods, method) }

// answers tells whether a preflight gets its answer from a policy, which is
// then the last one.
func (r *Route) answers() bool {
	if len(r.Chain) == 0 {
		return false
	}
	return answersPreflights(r.Chain[len(r.Chain)-1])
}

// Choose returns the service that gets the request, by the route's split.
func (r *Route) Choose(x *exchange.Exchange) *upstream.Service {
	if r.Split == nil {
		return r.Service
	}
	return r.Split.Choose(x)
}

// Busy returns what a request passes instead when the gateway has too much to do
// and refuses it: what belongs to every answer, and nothing that takes long.
func (r *Route) Busy() *Route {
	if r.busy == nil { // the answer to a preflight is quick anyway
		return r
	}
	return r.busy
}

// Admit applies the route's limits to the request, which Match has given to it. It returns why that is
// refused, or nil. A path that is forwarded as it came has no segment that takes
// back the one before: the service could see another resource than the one for
// which the policies have decided.
func (r *Route) Admit(x *exchange.Exchange) *exchange.Reason {
	if r.raw && route.HasParent(x.RawPath) {
		return exchange.BadPath
	}
	size := x.RequestBody.Size()
	switch {
	case r.conf.Limits.RequireLength && (size < 0 || x.Unsized):
		return exchange.LengthRequired
	case x.BodyLimit == 0:
		return nil
	case size > x.BodyLimit:
		return exchange.BodyTooLarge
	}
	x.RequestBody.Limit(x.BodyLimit)
	return nil
}

// Config returns what was written for the route.
func (r *Route) Config() config.Route { return r.conf }

// ServicePath returns the path that the service sees of a request which Match has given to
// the route. It is valid until Release.
func (r *Route) ServicePath(x *exchange.Exchange) string {
	if r.rewrite == nil {
		return x.Path
	}
	return exchange.View(r.rewrite.Append(x.Bytes(len(x.Path) + 64)[:0], x))
}

// Outbound says what the service that gets the request sees of it, and how long it may
// take.
func (r *Route) Outbound(x *exchange.Exchange, to *upstream.Service) {
	x.Out.Path = r.ServicePath(x)
	if own := r.conf.Forward.Host; own != "" {
		x.Out.Host, x.Out.HostOfRoute = upstream.HostField(own, x), true
	}
	to.SetHost(x)
	x.Out.ResponseTimeout = duration(r.conf.Timeouts.Response)
	x.Out.IdleTimeout = duration(r.conf.Timeouts.Idle)
	x.Out.TunnelIdle = duration(r.conf.Timeouts.TunnelIdle)
}

func duration[D ~int64](d *D) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}
