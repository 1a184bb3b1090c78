// An API gateway as teams write it with Express: every check is a middleware that
// many use, each set up to cost as little as it can. With "documented" in the
// configuration, logger and tokens are set up as their documentation begins.
//
//   node gateway.js FILE        runs it, with a configuration in JSON
//   node gateway.js --version   says what it is made of
//
// A part that the configuration doesn't name is left out: with an address and an
// upstream alone it only forwards.
import { createSecretKey, randomUUID } from 'node:crypto'
import { createWriteStream, readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'

import cors from 'cors'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import helmet from 'helmet'
import { createProxyMiddleware } from 'http-proxy-middleware'
import jwt from 'jsonwebtoken'
import morgan from 'morgan'
import pino from 'pino'

const identityHeaders = { 'x-user-id': 'sub', 'x-user-email': 'email', 'x-user-role': 'role', 'x-tenant-id': 'tenantId' }

function gateway(config) {
  const app = express()
  app.disable('x-powered-by')
  for (const middleware of [...guards(config), forward(config)]) app.use(middleware)
  app.use(failed)
  return app
}

// guards lists what stands before the proxy, in the order of the example platform.
function guards({ log, chain }) {
  const list = []
  if (chain) list.push(requestID)
  if (log) list.push(chain?.documented ? combinedLog(log) : accessLog(log))
  if (!chain) return list
  const { limits } = chain
  list.push(securityHeaders(), crossOrigin(chain.origins))
  if (limits) list.push(limited(limits.flood, { standardHeaders: limits.flood.told && 'draft-6' }))
  list.push(authenticate(chain))
  if (limits) list.push(limited(limits.global, { skip: (req) => req.caller !== undefined }))
  list.push(requireRole(chain))
  if (limits) list.push(limited(limits.user, { keyGenerator: (req) => req.caller.sub }))
  list.push(identity)
  return list
}

function requestID(req, res, next) {
  const id = randomUUID()
  req.headers['x-request-id'] = id
  res.setHeader('X-Request-ID', id)
  next()
}

// accessLog writes a JSON line for each request, some at a time.
function accessLog(file) {
  const out = pino.destination({ dest: file, sync: false, minLength: 8192 })
  setInterval(() => out.flush(), 1000).unref()
  const log = pino({ base: undefined }, out)
  return (req, res, next) => {
    const begin = performance.now()
    res.on('finish', () => {
      log.info({
        id: req.headers['x-request-id'],
        ip: req.socket.remoteAddress,
        method: req.method,
        url: req.originalUrl,
        status: res.statusCode,
        bytes: res.getHeader('content-length'),
        referrer: req.headers.referer,
        agent: req.headers['user-agent'],
        user: req.caller?.sub,
        ms: performance.now() - begin,
      })
    })
    next()
  }
}

function combinedLog(file) {
  return morgan('combined', { stream: createWriteStream(file, { flags: 'a' }) })
}

function securityHeaders() {
  return helmet({
    contentSecurityPolicy: false, // an API has no pages
    strictTransportSecurity: false, // forbidden without TLS
    referrerPolicy: { policy: 'strict-origin-when-cross-origin' },
  })
}

function crossOrigin(origins) {
  return cors({ origin: origins, credentials: true, exposedHeaders: 'X-Request-ID' })
}

function limited({ limit, window }, options) {
  return rateLimit({
    limit,
    windowMs: window,
    standardHeaders: 'draft-6',
    legacyHeaders: false,
    handler: (req, res) => refuse(res, 429, 'RATE_LIMIT_EXCEEDED', 'Too many requests'),
    ...options,
  })
}

// authenticate finds out who calls; requireRole refuses whom it doesn't know.
function authenticate({ token: { secret, issuer, audience }, documented }) {
  // A text is tried as a public key for every token, before it is taken for a secret.
  const key = documented ? secret : createSecretKey(Buffer.from(secret))
  const options = { algorithms: ['HS256'], issuer, audience }
  return (req, res, next) => {
    const [scheme, token] = req.headers.authorization?.split(' ') ?? []
    if (scheme === 'Bearer' && token) {
      try {
        const claims = jwt.verify(token, key, options)
        if (claims.exp) req.caller = claims // jsonwebtoken takes tokens that never expire
      } catch {
        // a bad token is none
      }
    }
    next()
  }
}

function requireRole({ roles, minRole }) {
  const levels = new Map(Object.entries(roles))
  const least = levels.get(minRole)
  return (req, res, next) => {
    if (!req.caller) return refuse(res, 401, 'UNAUTHORIZED', 'A valid token is needed')
    if (!(levels.get(req.caller.role) >= least)) return refuse(res, 403, 'FORBIDDEN', 'The role is not enough')
    next()
  }
}

// identity replaces what the client says about itself.
function identity(req, res, next) {
  for (const [name, claim] of Object.entries(identityHeaders)) {
    if (req.caller[claim] === undefined) delete req.headers[name]
    else req.headers[name] = req.caller[claim]
  }
  next()
}

function forward({ upstream, idle }) {
  return createProxyMiddleware({
    target: upstream,
    agent: new http.Agent({ keepAlive: true, maxFreeSockets: idle }),
    on: {
      proxyRes: (answer) => {
        delete answer.headers['x-powered-by']
        delete answer.headers['x-request-id'] // the gateway's own stands
      },
      error: (err, req, res) => {
        console.error(err.message)
        if (res.headersSent === false) refuse(res, 502, 'BAD_GATEWAY', 'The service does not answer')
        else res.destroy()
      },
    },
  })
}

function failed(err, req, res, next) {
  console.error(err.message)
  if (res.headersSent) return next(err)
  refuse(res, 500, 'INTERNAL_ERROR', 'Something went wrong')
}

function refuse(res, status, code, message) {
  res.status(status).json({ error: { code, message } })
}

function serve(config) {
  const { tls } = config
  const app = gateway(config)
  const server = tls
    ? https.createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key), minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' }, app)
    : http.createServer(app)
  server.keepAliveTimeout = 300_000
  server.requestTimeout = 300_000
  const [host, port] = config.listen.split(':')
  server.listen({ host, port, backlog: 1024 })
}

function version() {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url)))
  return `express ${dependencies.express}, http-proxy-middleware ${dependencies['http-proxy-middleware']}, Node ${process.versions.node}`
}

const [argument] = process.argv.slice(2)
if (argument === '--version') console.log(version())
else serve(JSON.parse(readFileSync(argument)))
