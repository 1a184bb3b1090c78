// Package kit is what the three example services share: routing with one error shape, strict JSON,
// token verification, roles, paging and an in-memory collection that keeps tenants apart.
//
// A service describes its paths to a Router as Endpoints. An Endpoint returns a Reply or an error, and the Router
// alone turns either into bytes, so every answer of the platform looks the same.
package kit
