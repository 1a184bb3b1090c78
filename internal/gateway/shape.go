package gateway

import (
	"net/http"
	"strconv"
	"time"

	"yett/internal/exchange"
)

// shape turns a refusal into the one error shape of the gateway. Every code
// and message is ours and plain ASCII without quotes, the request ID is
// checked, so nothing has to be escaped.
func shape(x *exchange.Exchange) {
	x.Response.Reset()
	r := x.Reason
	b := x.Bytes(208 + len(r.Code) + len(r.Message) + len(x.RequestID) + len(x.Details))[:0]
	b = append(b, `{"error":{"code":"`...)
	b = append(b, r.Code...)
	b = append(b, `","message":"`...)
	b = append(b, r.Message...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, `,"timestamp":"`...)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","request_id":"`...)
	b = append(b, x.RequestID...)
	b = append(b, '"')
	if x.RetryAfter > 0 && r.Status == http.StatusServiceUnavailable {
		b = append(b, `,"retryAfter":`...)
		b = strconv.AppendInt(b, int64(x.RetryAfter), 10)
	}
	if x.Details != "" {
		b = append(b, `,"details":`...)
		b = append(b, x.Details...)
	}
	b = append(b, "}}"...)
	x.ResponseBody.SetBytes(b)
	x.Response.Add("Content-Type", "application/json; charset=utf-8")
	x.Response.Add("Cache-Control", "no-store")
	if r.Status == http.StatusMethodNotAllowed {
		x.Response.Add("Allow", x.Allow)
	}
	if x.Challenge != "" {
		x.Response.Add("WWW-Authenticate", x.Challenge)
	}
	if x.RetryAfter > 0 {
		x.Response.Add("Retry-After", exchange.View(strconv.AppendInt(x.Bytes(20)[:0], int64(x.RetryAfter), 10)))
	}
}
