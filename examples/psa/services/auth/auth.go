// Package auth is the example platform's auth service: login with rotating refresh tokens, logout, and users.
package auth

import (
	_ "embed"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/kit"
)

const (
	// DemoPassword is the password of every user that the service starts with, unless Config says another.
	DemoPassword = "psa-demo-password"

	// DemoBcryptCost is quick enough for a demo and for load tests; bcrypt.DefaultCost is for real passwords.
	DemoBcryptCost = bcrypt.MinCost + 2

	defaultAccessTTL  = 15 * time.Minute
	defaultRefreshTTL = 7 * 24 * time.Hour
)

//go:embed openapi.yaml
var openAPI []byte

// document is what the service says of itself; it is read once, however many services a process makes.
var document = sync.OnceValues(func() (*kit.Document, error) { return kit.ParseDocument(openAPI) })

// Config is what the service needs; only JWTSecret has no default.
type Config struct {
	JWTSecret    string           // HS256 key, at least 32 bytes
	AccessTTL    time.Duration    // life of an access token; 15 minutes when 0
	RefreshTTL   time.Duration    // life of a refresh token; 7 days when 0
	BcryptCost   int              // bcrypt.DefaultCost when 0
	DemoPassword string           // password of the users it starts with; the constant DemoPassword when empty
	Revocations  *kit.Revocations // shared with the other services of the process; an own list when nil
	GatewayURL   func() string    // address of the gateway that is told of revocations; none when nil or empty
	Log          *slog.Logger     // failures of the service itself; dropped when nil
}

type service struct {
	document   *kit.Document
	tokens     *kit.Tokens
	accessTTL  time.Duration
	bcryptCost int
	users      *kit.Collection[User]
	sessions   *sessions
	gateway    *gateway

	// absentHash is compared for an email that nobody has, so that the time of a login does not tell which ones exist.
	absentHash []byte
}

// New makes the service with the demo users in it.
func New(cfg Config) (http.Handler, error) {
	tokens, err := kit.NewTokens(cfg.JWTSecret, cfg.Revocations)
	if err != nil {
		return nil, fmt.Errorf("make the auth service: %w", err)
	}
	own, err := document()
	if err != nil {
		return nil, fmt.Errorf("make the auth service: %w", err)
	}
	s := &service{
		document:   own,
		tokens:     tokens,
		accessTTL:  orDefault(cfg.AccessTTL, defaultAccessTTL),
		bcryptCost: orDefault(cfg.BcryptCost, bcrypt.DefaultCost),
		users:      newUsers(),
		sessions:   newSessions(orDefault(cfg.RefreshTTL, defaultRefreshTTL)),
		gateway:    newGateway(cfg.GatewayURL, tokens, cfg.Log),
	}
	if err := s.seed(orDefault(cfg.DemoPassword, DemoPassword)); err != nil {
		return nil, fmt.Errorf("make the auth service: %w", err)
	}
	return s.router(cfg.Log), nil
}

func orDefault[T comparable](value, otherwise T) T {
	if value == *new(T) {
		return otherwise
	}
	return value
}

func (s *service) router(log *slog.Logger) http.Handler {
	router := kit.NewRouter("auth-service", s.tokens, log)
	router.Document(s.document)
	router.Public("/api/v1/auth/login", kit.Methods{http.MethodPost: s.login})
	router.Public("/api/v1/auth/refresh", kit.Methods{http.MethodPost: s.refresh})
	router.Private("/api/v1/auth/logout", kit.Methods{http.MethodPost: s.logout})
	router.Private("/api/v1/auth/me", kit.Methods{http.MethodGet: s.me})
	router.Private("/api/v1/users", kit.Methods{
		http.MethodGet:  kit.Permit(kit.PermUsersManage, s.listUsers),
		http.MethodPost: kit.Permit(kit.PermUsersManage, s.createUser),
	})
	router.Private("/api/v1/users/{id}", kit.Methods{
		http.MethodGet:    s.getUser,
		http.MethodPatch:  s.patchUser,
		http.MethodDelete: kit.Permit(kit.PermUsersManage, s.deleteUser),
	})
	return router
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// sessionReply is the answer to a login and to a refresh.
type sessionReply struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	User         User   `json:"user"`
}

func (s *service) login(c *kit.Call) (kit.Reply, error) {
	given, err := kit.Decode[credentials](c)
	if err != nil {
		return kit.Reply{}, err
	}
	var check kit.Check
	check.Text("email", given.Email, true, 254)
	check.Text("password", given.Password, true, 1000)
	if err := check.Err(); err != nil {
		return kit.Reply{}, err
	}
	user, ok := s.authenticate(given)
	if !ok {
		return kit.Reply{}, kit.Unauthorized(kit.CodeNotAuthenticated, "The email or the password is not right.")
	}
	id, refreshToken := s.sessions.start(user.ID)
	return s.sessionReply(user, id, refreshToken)
}

// authenticate takes about the same time whether the user exists, is switched off, or gave a wrong password.
func (s *service) authenticate(given credentials) (User, bool) {
	user, found := s.users.Find(strings.ToLower(given.Email))
	hash := user.passwordHash
	if !found {
		hash = s.absentHash
	}
	matches := bcrypt.CompareHashAndPassword(hash, []byte(given.Password)) == nil
	return user, found && matches && user.Active && len(given.Password) <= maxPasswordBytes
}

func (s *service) sessionReply(user User, sessionID, refreshToken string) (kit.Reply, error) {
	access, err := s.tokens.SignFrom(kit.Identity{
		UserID: user.ID, Email: user.Email, Role: user.Role, TenantID: user.TenantID,
		Permissions: kit.Permissions(user.Role), SessionID: sessionID,
	}, s.sessions.issueFrom(user.ID), s.accessTTL)
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.OK(sessionReply{
		AccessToken: access, RefreshToken: refreshToken, TokenType: "Bearer",
		ExpiresIn: int(s.accessTTL.Seconds()), User: user,
	}), nil
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

func (s *service) refresh(c *kit.Call) (kit.Reply, error) {
	given, err := kit.Decode[refreshRequest](c)
	if err != nil {
		return kit.Reply{}, err
	}
	next, err := s.sessions.rotate(given.RefreshToken)
	if err != nil {
		if next.id != "" { // a used token came back: somebody else may hold the session's access tokens too
			s.revokeSession(next.id)
		}
		return kit.Reply{}, err
	}
	user, err := s.users.Get(kit.EveryTenant(), next.userID)
	if err != nil || !user.Active {
		s.endSessions(next.userID)
		return kit.Reply{}, kit.Unauthorized(kit.CodeTokenRevoked, "The user of this session is gone or switched off.")
	}
	return s.sessionReply(user, next.id, next.token)
}

// logout ends the token that it is called with and the session that the token comes from, with every other token of it.
func (s *service) logout(c *kit.Call) (kit.Reply, error) {
	s.tokens.Revoke(c.Identity.TokenID, c.Identity.ExpiresAt)
	s.sessions.end(c.Identity.SessionID)
	s.revokeSession(c.Identity.SessionID)
	s.gateway.revoke(revocation{Token: c.Token})
	return kit.NoContent(), nil
}

// endSessions logs a user out everywhere, which follows any change of what its tokens say or of who may have them.
func (s *service) endSessions(userID string) {
	ids, before := s.sessions.endAll(userID)
	for _, id := range ids {
		s.revokeSession(id)
	}
	s.gateway.revoke(revocation{Subject: userID, IssuedBefore: before.Unix(), Expires: before.Add(s.accessTTL).Unix()})
}

func (s *service) revokeSession(id string) {
	s.tokens.Revoke(id, time.Now().Add(s.accessTTL))
}

// profile is a user with what its role allows.
type profile struct {
	User
	Permissions map[string]bool `json:"permissions"`
}

func (s *service) me(c *kit.Call) (kit.Reply, error) {
	user, err := s.users.Get(kit.EveryTenant(), c.Identity.UserID)
	if err != nil {
		return kit.Reply{}, kit.Unauthorized(kit.CodeNotAuthenticated, "The user of this token does not exist.")
	}
	return kit.OK(profile{User: user, Permissions: kit.Permissions(user.Role)}), nil
}
