package kit

import (
	"errors"
	"fmt"
	"net/http"
)

// The error codes of the platform. Clients match on these and never on the message.
const (
	CodeBadRequest       = "BAD_REQUEST"
	CodeNoToken          = "NO_TOKEN"
	CodeInvalidToken     = "INVALID_TOKEN"
	CodeTokenNotActive   = "TOKEN_NOT_ACTIVE"
	CodeTokenExpired     = "TOKEN_EXPIRED"
	CodeTokenRevoked     = "TOKEN_REVOKED"
	CodeNotAuthenticated = "NOT_AUTHENTICATED"
	CodeInsufficient     = "INSUFFICIENT_PERMISSIONS"
	CodeForbidden        = "FORBIDDEN_RESOURCE_ACCESS"
	CodeNotFound         = "NOT_FOUND"
	CodeMethodNotAllowed = "METHOD_NOT_ALLOWED"
	CodeConflict         = "CONFLICT"
	CodeTooLarge         = "PAYLOAD_TOO_LARGE"
	CodeMediaType        = "UNSUPPORTED_MEDIA_TYPE"
	CodeInternal         = "INTERNAL_SERVER_ERROR"
	CodeUnavailable      = "SERVICE_UNAVAILABLE"
)

// Problem is a refusal whose text the client may read. Any other error becomes a 500 that tells the client nothing.
type Problem struct {
	Status  int    // HTTP status
	Code    string // one of the Code constants
	Message string // one sentence for a person
	Allow   string // the Allow header of a 405, otherwise empty
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// BadRequest is a 400 whose message says what to mend.
func BadRequest(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: CodeBadRequest, Message: fmt.Sprintf(format, args...)}
}

// Unauthorized is a 401; the Router adds WWW-Authenticate (RFC 9110, section 11.6.1).
func Unauthorized(code, message string) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Code: code, Message: message}
}

// Forbidden is a 403: the caller is known and may not do this.
func Forbidden(code, message string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: code, Message: message}
}

// NotFound is a 404. It also stands for a record of another tenant, whose existence is nobody else's business.
func NotFound(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusNotFound, Code: CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

// Conflict is a 409: the request is well formed, the present state does not allow it.
func Conflict(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusConflict, Code: CodeConflict, Message: fmt.Sprintf(format, args...)}
}

// problemOf finds the Problem that a client is told for err.
func problemOf(err error) *Problem {
	if problem, ok := errors.AsType[*Problem](err); ok {
		return problem
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Problem{
			Status: http.StatusRequestEntityTooLarge, Code: CodeTooLarge,
			Message: fmt.Sprintf("The body is larger than %d bytes.", large.Limit),
		}
	}
	return &Problem{Status: http.StatusInternalServerError, Code: CodeInternal, Message: "Something went wrong in the service."}
}
