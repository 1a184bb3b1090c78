package admin

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"yett/internal/exchange"
	"yett/internal/revocation"
	"yett/internal/store/memory"
	"yett/internal/token"
)

// maxRevocation is the largest body in bytes: whole tokens are smaller.
const maxRevocation = 16 << 10

// Revocations is the page through which tokens are revoked.
type Revocations struct {
	List  *revocation.List
	State State
	// Tokens returns the Verifier of the current snapshot.
	Tokens func() *token.Verifier
	// Log is told who has revoked what.
	Log *slog.Logger
}

type revocationsPage struct {
	Entries map[revocation.Kind]int `json:"entries"`
	// Pending is how many entries the store does not have yet.
	Pending int       `json:"pending"`
	Store   StorePage `json:"store"`
}

type revokedPage struct {
	Revoked      []revocation.Kind `json:"revoked"`
	IssuedBefore string            `json:"issued_before,omitempty"`
	Expires      string            `json:"expires,omitempty"`
	// Store is written, pending when only this node knows yet, or memory when
	// there is nobody else who could.
	Store   string `json:"store,omitempty"`
	Message string `json:"message"`
	// Warning says that the token that was sent is hardly the one that is meant.
	Warning string `json:"warning,omitempty"`
}

// Serve takes a Revocation with POST, and shows how many there are with GET.
func (r *Revocations) Serve(x *exchange.Exchange) {
	switch x.Method {
	case http.MethodPost:
		r.revoke(x)
	case http.MethodGet, http.MethodHead:
		r.show(x)
	default:
		x.Allow = "GET, HEAD, POST"
		x.Refuse(exchange.MethodNotAllowed)
	}
}

// show tells numbers only: what is on the list is nobody's business.
func (r *Revocations) show(x *exchange.Exchange) {
	c := r.List.Counts()
	reply(x, http.StatusOK, revocationsPage{
		Entries: map[revocation.Kind]int{revocation.ByID: c.IDs, revocation.BySum: c.Sums, revocation.BySubject: c.Subjects},
		Pending: c.Pending,
		Store:   showStore(r.State.Store()),
	})
}

func (r *Revocations) revoke(x *exchange.Exchange) {
	if !isJSON(x.Request.GetKey(exchange.KeyContentType)) {
		x.Refuse(exchange.BadRevocationType)
		return
	}
	body, err := x.RequestBody.Buffer(maxRevocation)
	if err != nil {
		x.Refuse(bodyReason(err))
		return
	}
	now := time.Now()
	asked, err := readRevocation(body, now)
	var entries []revocation.Entry
	if err == nil {
		entries, err = asked.Entries(now)
	}
	if m, ok := errors.AsType[*Mistake](err); ok {
		x.RefuseWith(m.Reason, m.Error())
		return
	}
	ended, warning := asked.Examine(r.Tokens(), now)
	if ended {
		r.Log.Info("nothing to revoke: the token has ended by itself", by(x)...)
		reply(x, http.StatusOK, revokedPage{Revoked: []revocation.Kind{}, Message: "Nothing to revoke: the token has ended by itself."})
		return
	}
	pending := r.List.Add(x.Context(), entries...)
	r.tell(x, entries, pending, warning)
	page := answerTo(entries, pending, r.State.Store().Name)
	page.Warning = warning
	reply(x, http.StatusAccepted, page)
}

// isJSON tells whether a media type is that of JSON. Browsers send it on behalf
// of a page of another site only after a preflight.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}

func bodyReason(err error) *exchange.Reason {
	if errors.Is(err, exchange.ErrBodyTooLarge) {
		return exchange.BodyTooLarge
	}
	if reason, ok := errors.AsType[*exchange.Reason](err); ok {
		return reason
	}
	return exchange.TruncatedBody
}

// answerTo says what counts from now on, and where.
func answerTo(entries []revocation.Entry, pending error, store string) revokedPage {
	p := revokedPage{
		Expires: stamp(entries[0].Expires), IssuedBefore: stamp(entries[0].Before),
		Store: "written", Message: "In effect on this node now, and on all others within a second.",
	}
	switch {
	case store == memory.Name:
		p.Store, p.Message = memory.Name, "In effect on this node, until it restarts."
	case pending != nil:
		p.Store, p.Message = "pending", "In effect on this node now. The store does not take it now; the other nodes learn of it when it does."
	}
	for _, e := range entries {
		p.Revoked = append(p.Revoked, e.Kind)
	}
	return p
}

// tell writes one line for each request into the log. The sum of a token does
// not help anybody to it.
func (r *Revocations) tell(x *exchange.Exchange, entries []revocation.Entry, pending error, warning string) {
	attrs := by(x)
	for _, e := range entries {
		switch e.Kind {
		case revocation.BySubject:
			attrs = append(attrs, "subject", e.ID, "issued_before", e.Before.UTC())
		case revocation.ByID:
			attrs = append(attrs, "jti", e.ID)
		case revocation.BySum:
			attrs = append(attrs, "token_sha256", hex.EncodeToString(e.Sum[:]))
		}
	}
	attrs = append(attrs, "expires", entries[0].Expires.UTC())
	if pending != nil {
		attrs = append(attrs, "pending", pending.Error())
	}
	if warning != "" {
		attrs = append(attrs, "warning", warning)
	}
	r.Log.Info("revoked", attrs...)
}

// by says for the log who asks, and in which request.
func by(x *exchange.Exchange) []any {
	if x.RequestID == "" {
		x.NewRequestID() // the access log's line has it then, too
	}
	return []any{"by", x.Identity.Subject, "request_id", x.RequestID}
}
