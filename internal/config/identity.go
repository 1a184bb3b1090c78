package config

import "time"

// Store says where shared state is kept.
type Store struct {
	Redis    Redis       `yaml:"redis" doc:"A Redis or Valkey server, a group of them under Sentinel, or a cluster. At most one of host, socket, sentinel and cluster."`
	Memory   StoreMemory `yaml:"memory" doc:"What each node keeps by itself: all, where there is no Redis, and what it needs to go on without one."`
	Required bool        `yaml:"required" doc:"Whether the gateway refuses to start when the store can't be reached. Once it runs, it goes on without the store in any case."`
}

// Redis says how a Redis or Valkey server is reached.
type Redis struct {
	Host     string     `yaml:"host" doc:"Host name or address; the store is in memory when empty."`
	Socket   string     `yaml:"socket" doc:"Path of the server's Unix socket, instead of host and port."`
	Sentinel *Sentinel  `yaml:"sentinel" doc:"Find the primary by asking sentinels, instead of host and port."`
	Cluster  StringList `yaml:"cluster" doc:"host:port of nodes of a cluster, instead of host and port; one that answers is enough."`
	Timeout  Duration   `yaml:"timeout" min:"1ms" max:"1s" doc:"How long a request may wait for the store to count it. After that, limits do what on_store_failure says."`
	Port     int        `yaml:"port" min:"1" max:"65535" doc:"Port."`
	Username string     `yaml:"username" doc:"User of the access control list; the default user when empty."`
	Password string     `yaml:"password" doc:"Password, none when empty."`
	Database int        `yaml:"database" min:"0" max:"1000000" doc:"Number of the database."`
	TLS      *StoreTLS  `yaml:"tls" doc:"Connect with TLS."`
	Prefix   string     `yaml:"prefix" doc:"What the names of all keys begin with."`
}

// StoreTLS says how the store's certificate is verified.
type StoreTLS struct {
	CA         string `yaml:"ca" doc:"PEM file with the certificate authorities to believe, relative to the configuration file; the system's when empty."`
	ServerName string `yaml:"server_name" doc:"Name that the certificate must have; the host when empty."`
}

// Issuer is somebody who signs tokens.
type Issuer struct {
	Issuer         string      `yaml:"issuer" doc:"What the token's iss has to be. At most one issuer may leave it out: it then takes tokens with any iss that no other issuer has, and with none."`
	Audience       StringList  `yaml:"audience" doc:"Values of which the token's aud must hold one. aud is not looked at when empty."`
	Keys           []KeySource `yaml:"keys" required:"true" doc:"Where the keys come from. Several sources stand side by side, such as an old and a new one."`
	Leeway         Duration    `yaml:"leeway" min:"0s" max:"5m" doc:"How long after its exp a token still passes."`
	Skew           Duration    `yaml:"skew" min:"0s" max:"5m" doc:"How far the issuer's clock may be ahead: tokens whose nbf or iat is that far in the future pass."`
	MaxLifetime    Duration    `yaml:"max_lifetime" min:"0s" doc:"Longest time between iat and exp, which makes iat a required claim. 0s for any."`
	RequiredClaims StringList  `yaml:"required_claims" doc:"Claims that must be there, beside exp and the subject."`
	Types          StringList  `yaml:"types" doc:"What the token's header typ may be, such as at+jwt, in any case. Not looked at when empty."`
	Claims         ClaimNames  `yaml:"claims" doc:"Which claims say who calls. A name with dots, such as realm_access.roles, reaches into objects."`
}

// ClaimNames says which claims of a token become which part of the identity.
type ClaimNames struct {
	Subject     string `yaml:"subject" doc:"Who it is: a text. A token without it does not pass."`
	Email       string `yaml:"email" doc:"Email address: a text."`
	Role        string `yaml:"role" doc:"Role: a text, or a list of texts."`
	Tenant      string `yaml:"tenant" doc:"Tenant: a text."`
	Permissions string `yaml:"permissions" doc:"Permissions: an object of names with true or false, a list of texts, or a text with blanks between."`
	Plan        string `yaml:"plan" doc:"Plan that the caller pays for: a text. Limits may ask for it."`
	Scopes      string `yaml:"scopes" doc:"Scopes: a text with blanks between (RFC 8693 section 4.2), or a list of texts."`
}

// KeySource is a place where verification keys come from.
type KeySource struct {
	Secret         string     `yaml:"secret" doc:"Secret that issuer and gateway share, for HS256, HS384 and HS512; at least as many bytes as the hash."`
	SecretEncoding string     `yaml:"secret_encoding" enum:"text,base64,hex" doc:"How secret is written: as it is (text), in base64 or base64url, or in hexadecimal digits."`
	PEM            string     `yaml:"pem" doc:"PEM file with public keys or certificates, relative to the configuration file."`
	JWKSFile       string     `yaml:"jwks_file" doc:"File with a JSON Web Key Set (RFC 7517), relative to the configuration file."`
	JWKSURL        string     `yaml:"jwks_url" doc:"URL of a JSON Web Key Set. It is fetched at start, every refresh, and when a token names an unknown key; while it can't be had, the last good one counts."`
	Algorithms     StringList `yaml:"algorithms" enum:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Algorithms that the keys may be used with. The default is one for each kind of key: what the key itself names, else HS256, RS256, ES256, ES384 or ES512 by its curve, EdDSA. What a token says never counts."`
	KeyID          string     `yaml:"kid" doc:"Key ID of a secret or of a PEM file with a single key. Tokens that name another one don't pass; those that name none do."`
	CA             string     `yaml:"ca" doc:"PEM file with the certificate authorities to believe for jwks_url; the system's when empty."`
	Refresh        Duration   `yaml:"refresh" min:"1s" max:"24h" doc:"How often jwks_url is fetched."`
	Cooldown       Duration   `yaml:"cooldown" min:"10ms" max:"1h" doc:"Shortest time between two fetches of jwks_url that tokens with unknown keys cause."`
	Timeout        Duration   `yaml:"timeout" min:"10ms" max:"1m" doc:"Longest time that a fetch of jwks_url may take."`
}

// Role is a role of callers.
type Role struct {
	Level    int        `yaml:"level" min:"0" max:"1000000" doc:"Place on the ladder: a role is also every role with the same level or a lower one, from 1 on. 0 for a role that is not on the ladder."`
	Includes StringList `yaml:"includes" doc:"Roles that this one also is, and all that those include."`
}

// Assertion says how the gateway signs who calls.
type Assertion struct {
	Key          string     `yaml:"key" required:"true" doc:"PEM file with an Ed25519 private key (PKCS 8), relative to the configuration file."`
	PreviousKeys StringList `yaml:"previous_keys" doc:"PEM files with public or private keys that the endpoint jwks goes on serving, while services may still hold assertions signed with them."`
	Issuer       string     `yaml:"issuer" doc:"iss of the assertions; the gateway's name when empty."`
	Lifetime     Duration   `yaml:"lifetime" min:"5s" max:"10m" doc:"How long an assertion is good. It is used again for the same caller for half of that."`
}

// SetDefaults wants the store to be there, once one is configured.
func (s *Store) SetDefaults() { s.Required = true }

// SetDefaults names the usual port.
func (r *Redis) SetDefaults() { *r = Redis{Port: 6379, Prefix: "yett:", Timeout: defaultStoreTimeout} }

// SetDefaults forgives an issuer's clock, and no token that has ended.
func (i *Issuer) SetDefaults() { i.Skew = seconds(5) }

// SetDefaults names the claims of RFC 7519, RFC 8693 and common use.
func (c *ClaimNames) SetDefaults() {
	*c = ClaimNames{
		Subject: "sub", Email: "email", Role: "role", Tenant: "tenantId",
		Permissions: "permissions", Plan: "plan", Scopes: "scope",
	}
}

// SetDefaults fetches as often as nobody minds.
func (k *KeySource) SetDefaults() {
	k.SecretEncoding = "text"
	k.Refresh = Duration(5 * time.Minute)
	k.Cooldown = seconds(5)
	k.Timeout = seconds(3)
}

// SetDefaults lets an assertion live hardly longer than a call.
func (a *Assertion) SetDefaults() { a.Lifetime = seconds(30) }
