package cli

// envTemplate is the configuration of yett init --from-env. What it answers is held against
// examples/psa/yett.yaml by a test.
const envTemplate = `# Written by yett init --from-env from the variables of {{comment .File}}: what the Express gateway
# did, as a configuration. No value of that file stands here. It goes on being read, as a file .env
# beside this one or from the environment, and real variables win.
#
#   yett check   is all of it right?
#   yett routes  what goes where
#   yett run     serve
{{- if .Notes}}
#
# What was noticed:
{{- range .Notes}}
#   - {{comment .}}
{{- end}}
{{- end}}

# In health answers and logs, and sent to services as X-Gateway.
name: ${SERVICE_NAME:-psa-api-gateway}

# Where clients connect. Add tls for certificates, or name the proxy in front under trusted_proxies:
# without that, its address counts as that of all clients.
listeners:
  - name: public
    address: ":${PORT:-3000}"
    protocols: [http1, h2c]
    limits:
      body: 2MB # the larger of what Express took; bodies are streamed
# trusted_proxies: [10.0.0.0/8]

shutdown:
  grace: 10s # as the old one; requests that run when SIGTERM comes may finish
  #tunnels: 5m # for WebSockets and event streams; as long as grace when it isn't written

# Edits are taken by yett reload. watch: all takes them, and those of .env, by itself.
#reload: {watch: all}

log:
{{- if .Level}}
  level: {{.Level}} # LOG_LEVEL names a level of winston's that is none here
{{- else}}
  level: ${LOG_LEVEL:-info}
{{- end}}
  access:
    output: ${LOG_FILE:-stdout} # relative to the folder of this file
    errors: auto # failed requests also go beside that file: app.log, app-error.log
    query: redact # names only; tokens stand in values

# What all gateways share. Without REDIS_HOST each keeps its own, in memory; with it the server has to
# be there at the start, as it had to be. Once it runs, the gateway goes on without it.
store:
  redis:
    host: "${REDIS_HOST:-}"
    port: ${REDIS_PORT:-6379}
    password: "${REDIS_PASSWORD:-}"

# Who signs tokens. Decided: without JWT_SECRET nothing starts, where the old one answered 500; and
# iss, aud and exp are checked, where the old one looked at exp alone. If the auth service writes
# another iss or none, correct or remove the two lines: yett token decode shows what is in a token.
issuers:
  platform:
    issuer: psa-platform
    audience: psa-api
    keys:
      - secret: ${JWT_SECRET:?the secret that the auth service signs tokens with, 32 bytes or more}

# The roles of the platform. A role is also every role with a lower level.
roles:
  system_admin: {level: 100}
  tenant_admin: {level: 90}
  security_admin: {level: 85}
  service_manager: {level: 80}
  software_developer_lead: {level: 70}
  technician_lead: {level: 70}
  account_manager: {level: 65}
  project_manager: {level: 65}
  billing_manager: {level: 65}
  software_developer_senior: {level: 60}
  technician_senior: {level: 60}
  technician_l3: {level: 55}
  software_developer: {level: 50}
  technician: {level: 50}
  technician_l2: {level: 45}
  software_developer_junior: {level: 40}
  technician_junior: {level: 40}
  technician_l1: {level: 35}
  customer_admin: {level: 30}
  customer_technician: {level: 20}
  customer_user: {level: 10}

# How much callers may ask for. Decided: callers with a token count as themselves (user), and only
# those without one by their address (global). The old one counted everybody by address first, so
# that an office behind one address shared 100 requests.
limits:
  flood: # whoever it is, before anything else is looked at; the old one had nothing like it
    limit: 3000
    window: 1m
    by: ip
    preflights: true
    fields: false # clients are not told about it
  global:
    limit: ${RATE_LIMIT_GLOBAL_MAX:-${RATE_LIMIT_MAX_REQUESTS:-100}}
    window: ${RATE_LIMIT_WINDOW_MS:-900000}ms
    by: ip
    for: anonymous
{{- if .Has "auth"}}
  auth: # failed logins and the like
    limit: ${RATE_LIMIT_AUTH_MAX:-${RATE_LIMIT_AUTH_ENDPOINTS:-5}}
    window: ${RATE_LIMIT_WINDOW_MS:-900000}ms
    by: ip
    counts: 400-599
{{- end}}
  user:
    limit: 1000
    window: 15m
    by: user
    for: known
  api: # of /api/v1/public; the old one had it and used it nowhere
    limit: 60
    window: 1m
    by: ip
  admin: # of /api/v1/protected/admin and /system; likewise
    limit: 20
    window: 1m
    by: user
  probes: # health checks have a share of their own
    limit: 3000
    window: 1m
    by: ip
    preflights: true
    fields: false

# The document at /api-docs: of the routes below, and of the documents that services have of their
# own. Where a service has one, add openapi: {path: /openapi.json} to it.
docs:
  title: PSA Platform API

# What every request passes, refused ones too, on every route.
policies:
  request_id: # X-Request-ID
  security_headers: # the set of helmet 7; Strict-Transport-Security over TLS alone, hsts: always restores it
    preset: helmet
  cors: # a page of another origin gets no CORS headers, and its preflights 403; the old one answered 500
    origins: ${ALLOWED_ORIGINS:-} # separated by commas
  ratelimit:
    limits: [flood, global, user]
  jwt: # on routes with auth: required or optional
  identity: # X-User-ID, X-User-Email, X-User-Role and X-Tenant-ID for the service; what clients send as these is dropped

# Who answers behind the gateway, each with a circuit breaker of its own.
services:
{{- range $i, $s := .Services}}
  {{$s.Name}}:{{with $s.Why}} # {{.}}{{end}}
    targets: ["${ {{- $s.Variable}}:-{{$s.Usual}}}"]
    timeouts: {response: {{$s.Timeout}}} # 504 beyond
{{- if eq $i 0}}
    breaker: &breaker # the same for all
      consecutive_failures: 5
      failure_ratio: ${CIRCUIT_BREAKER_ERROR_THRESHOLD:-50}% # of those in the last 10 s, if they are 20 or more
      slow_call: ${CIRCUIT_BREAKER_TIMEOUT:-0}ms # when half of all take longer; 0 for never
      open_for: ${CIRCUIT_BREAKER_RESET_TIMEOUT:-30000}ms
      shared: true # with Redis, all gateways learn when it opens
{{- else}}
    breaker: *breaker
{{- end}}
{{- end}}

# What is served; everything else is a 404. The most specific route wins, whatever the order.
routes:
  - name: index
    path: /
    methods: GET
    auth: none
    policies:
      respond:
        json:
          service: PSA Platform API Gateway
          version: "{gateway.version}"
          status: operational
          documentation: /api-docs

  - name: health # does the process live? For restarts
    path: /health
    methods: GET
    auth: none
    endpoint: health
    policies: {ratelimit: {limits: probes}}

  - name: ready # does it want traffic? For load balancers; 503 while it drains
    path: /health/ready
    methods: GET
    auth: none
    endpoint: ready
    policies: {ratelimit: {limits: probes}}

  - name: health-detailed # what is known about each service
    path: /health/detailed
    methods: GET
    auth: none
    endpoint: health_detailed
    policies: {ratelimit: {limits: probes}}

  - name: docs
    path: [/api-docs/**, /api-docs.json, /api-docs.yaml]
    methods: GET
    auth: none
    endpoint: docs
    policies: {ratelimit: {limits: flood}}

  - name: public-status
    path: /api/v1/public/status
    methods: GET
    auth: none
    policies:
      ratelimit: {limits: [flood, global, user, api]}
      respond:
        json:
          status: operational
          service: "{gateway.name}"
          timestamp: "{time}"

  - name: public-info # a token is welcome, but a wrong one is refused; the old one took it for a guest's
    path: /api/v1/public/info
    methods: GET
    auth: optional
    policies:
      ratelimit: {limits: [flood, global, user, api]}
      respond:
        json:
          service: "{gateway.name}"
          version: "{gateway.version}"
          caller: "{identity.email|guest}"
          role: "{identity.role|guest}"

  # Who may see what, answered by the gateway itself.
  - name: profile
    path: /api/v1/protected/profile
    methods: GET
    auth: required
    policies:
      respond: &caller
        json:
          user:
            id: "{identity.subject}"
            email: "{identity.email}"
            role: "{identity.role}"
            tenantId: "{identity.tenant}"
            permissions: "{identity.permissions}"

  - name: admin-area # tenant_admin or above
    path: /api/v1/protected/admin
    methods: GET
    auth: required
    policies:
      ratelimit: {limits: [flood, global, user, admin]}
      rbac: {min_role: tenant_admin}
      respond: *caller

  - name: system-area # system_admin and nobody else
    path: /api/v1/protected/system
    methods: GET
    auth: required
    policies:
      ratelimit: {limits: [flood, global, user, admin]}
      rbac: {exact_role: system_admin}
      respond: *caller

  - name: technician-area # technician or above
    path: /api/v1/protected/technician
    methods: GET
    auth: required
    policies:
      rbac: {min_role: technician}
      respond: *caller

  - name: internal-area # any of three or above
    path: /api/v1/protected/internal
    methods: GET
    auth: required
    policies:
      rbac: {any_role: [technician, software_developer, account_manager]}
      respond: *caller

  - name: own-user # oneself, or tenant_admin or above
    path: /api/v1/protected/users/{id}
    methods: GET
    auth: required
    policies:
      rbac:
        self_or_min_role: {param: id, min_role: tenant_admin}
      respond:
        json:
          id: "{path.id}"
          caller: "{identity.subject}"

  # For whoever runs the gateway; yett revoke, yett limits, yett services and yett docs ask here.
  - name: revocations
    path: /internal/revocations
    methods: [GET, POST]
    auth: required
    policies:
      rbac: {exact_role: system_admin}
    endpoint: revocations

  - name: limits
    path: /internal/limits
    methods: [GET, DELETE]
    auth: required
    policies:
      rbac: {exact_role: system_admin}
      ratelimit: {limits: flood} # who looks uses up nothing else
    endpoint: limits

  - name: services
    path: /internal/services
    methods: [GET, POST]
    auth: required
    policies:
      rbac: {exact_role: system_admin}
      ratelimit: {limits: flood}
    endpoint: services

  - name: docs-status
    path: /internal/docs
    methods: GET
    auth: required
    policies:
      rbac: {exact_role: system_admin}
      ratelimit: {limits: flood}
    endpoint: docs_status

  # The services. Paths are forwarded as they are; /** is the path itself and everything below it.
{{- range .Services}}
{{.Routes}}
{{- end}}`

// The routes of each service.
const (
	envAuthRoutes = `  - name: auth # nobody needs a token to log in
    path: /api/v1/auth/**
    auth: none
    service: auth
    limits:
      body: 64KB # a login is small
    policies:
      ratelimit: {limits: [flood, global, auth]}
`
	envUsersRoutes = `  - name: users
    path: /api/v1/users/**
    auth: required
    service: users
`
	envCRMRoutes = `  - name: crm
    path: [/api/v1/customers/**, /api/v1/contacts/**]
    auth: required
    service: crm
`
	envTicketsRoutes = `  - name: tickets
    path: [/api/v1/tickets/**, /api/v1/comments/**, /api/v1/time-entries/**]
    auth: required
    service: tickets

  - name: ticket-events # server-sent events, where the service has them
    path: /api/v1/tickets/events
    methods: GET
    auth: required
    service: tickets
    timeouts:
      idle: 5m # the longest silence
    policies:
      jwt:
        query: access_token # browsers can't set headers on an event stream
`
)

// laterRoutes are those of services that have one prefix.
func laterRoutes(name string) string {
	return "  - name: " + name + "\n    path: /api/v1/" + name + "/**\n    auth: required\n    service: " + name + "\n"
}
