// Package route finds the route of a request by host, path, method, header
// fields and query. It does no I/O and knows no configuration: Compile turns
// rules into a Table, Normalize brings a request's path into the one form that
// is matched, Table.Match finds the rule, and Rewrite says what path the
// service sees.
//
// # Patterns
//
// A host is exact or *.example.org, which is every name below example.org at
// any depth, but not example.org itself. A path is exact (/health), has values
// (/users/{id}, each one whole segment, never empty), or ends in /**, which is
// everything below and the prefix itself: /api/** takes /api, /api/ and
// /api/x. The pattern * takes the asterisk form of OPTIONS and nothing else.
// A slash at the end of an exact path counts: /a and /a/ are two paths.
//
// Methods are exact; GET takes HEAD too where no route names HEAD for the same
// host, path and conditions. A condition is a header field or query value that
// must be equal, or merely present (*); only the first field or value of that
// name is looked at.
//
// # Order
//
// Of all routes that fit a request in everything, the first in this order is
// taken, wherever it stands in the file (Table.Rows lists them so):
//
//  1. by host: exact, then the longer wildcard, then the shorter, then none;
//  2. by path, segment by segment: literal, then {value}, then **;
//  3. by conditions: the most, then those with more values to be equal;
//  4. by method: named, then HEAD by way of GET, then all methods;
//  5. by name. Compile refuses routes that only their names would tell apart
//     for some request, so this gives Rows an order and decides nothing.
//
// A route that fits in everything but one point is passed over, so a host with
// routes of its own falls back to wildcards and to routes without a host.
// Where nothing fits, the answer is 405 if a method alone was in the way, else
// 404.
package route
