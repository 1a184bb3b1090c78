// What the load tests send. `go run ./load` gives k6 this script with the options of a test, and
//
//   TARGET    the gateway
//   PASSWORD  that of the users
//   SUMMARY   the file where the figures go
//
// A visit is what somebody comes for: one request, or a few that follow from each other. Each answer has to be the right one, by its status
// and its body: what is not counts as an error, and so does no answer.

import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';
import { Rate } from 'k6/metrics';

const target = __ENV.TARGET;
const errors = new Rate('errors');

// Who logs in: people of one tenant who may do all that is done here.
const staff = ['tech@example.com', 'dev@example.com', 'service@example.com', 'tenant@example.com'];
const renewAfter = 8 * 60 * 1000; // ms; tokens last 15 minutes

// Of so many visits each is one of these. The writes take away what they have made, so that a long test finds the
// services as they were.
const mix = [
  [10, 'health', health],
  [10, 'status', publicStatus],
  [5, 'info', publicInfo],
  [12, 'profile', profile],
  [20, 'customers', listCustomers],
  [13, 'customer', oneCustomer],
  [15, 'tickets', listTickets],
  [5, 'new customer', writeCustomer],
  [8, 'new ticket', writeTicket],
  [2, 'login', (data) => login(pick(staff))],
];
const weights = mix.reduce((sum, [weight]) => sum + weight, 0);

export function setup() {
  if (__ENV.VISITS !== 'platform') return {};
  const sessions = staff.map(login);
  const customers = json(http.get(`${target}/api/v1/customers?limit=1`, as(sessions[0], 'GET /customers')));
  if (!customers || !customers.items || customers.items.length === 0) {
    throw new Error(`${target} let nobody in, or has no customers: the tests need the users of the example platform`);
  }
  return { sessions, customer: customers.items[0].id };
}

export function platform(data) {
  let at = Math.random() * weights;
  for (const [weight, , visit] of mix) {
    at -= weight;
    if (at < 0) return visit(data);
  }
}

export function health() {
  expect(http.get(`${target}/health`, named('GET /health')), 200, (b) => b.status === 'healthy');
}

function publicStatus() {
  expect(http.get(`${target}/api/v1/public/status`, named('GET /public/status')), 200, (b) => b.status === 'operational');
}

function publicInfo(data) {
  const s = session(data);
  expect(http.get(`${target}/api/v1/public/info`, as(s, 'GET /public/info')), 200, (b) => b.caller === s.email);
}

function profile(data) {
  const s = session(data);
  expect(http.get(`${target}/api/v1/protected/profile`, as(s, 'GET /protected/profile')), 200, (b) => b.user.email === s.email);
}

function listCustomers(data) {
  expect(http.get(`${target}/api/v1/customers?limit=20`, as(session(data), 'GET /customers')), 200, (b) => b.items.length > 0);
}

function oneCustomer(data) {
  expect(http.get(`${target}/api/v1/customers/${data.customer}`, as(session(data), 'GET /customers/{id}')), 200, (b) => b.id === data.customer);
}

function listTickets(data) {
  expect(http.get(`${target}/api/v1/tickets?limit=20&status=open`, as(session(data), 'GET /tickets')), 200, (b) => b.items.length > 0);
}

function writeCustomer(data) {
  const s = session(data);
  const name = `Load ${Date.now()} ${exec.scenario.iterationInTest}`;
  const made = expect(post('/api/v1/customers', { name }, as(s, 'POST /customers')), 201, (b) => b.name === name);
  if (!made) return;
  expect(http.del(`${target}/api/v1/customers/${made.id}`, null, as(s, 'DELETE /customers/{id}')), 204);
}

function writeTicket(data) {
  const s = session(data);
  const subject = `Load ${exec.scenario.iterationInTest}`;
  const made = expect(post('/api/v1/tickets', { subject, customerId: data.customer }, as(s, 'POST /tickets')), 201, (b) => b.subject === subject);
  if (!made) return;
  const at = `${target}/api/v1/tickets/${made.id}`;
  expect(http.patch(at, JSON.stringify({ status: 'in_progress' }), as(s, 'PATCH /tickets/{id}')), 200, (b) => b.status === 'in_progress');
  expect(http.del(at, null, as(s, 'DELETE /tickets/{id}')), 204);
}

// login returns a session: a user's address, a token, and from when on it wants another.
function login(email) {
  const answer = expect(post('/api/v1/auth/login', { email, password: __ENV.PASSWORD }, named('POST /auth/login')), 200, (b) => b.access_token !== '');
  const age = renewAfter * (0.75 + 0.5 * Math.random()); // not all at once
  return { email, token: answer ? answer.access_token : '', until: Date.now() + age };
}

// session is one of those that the test began with, until it is old; then each of k6's users logs in for itself.
let own = null;
function session(data) {
  if (!own) own = pick(data.sessions);
  if (Date.now() > own.until) own = login(own.email);
  return own;
}

function post(path, body, params) {
  return http.post(target + path, JSON.stringify(body), params);
}

function named(name) {
  return { headers: { 'Content-Type': 'application/json' }, tags: { name }, timeout: '30s' };
}

function as(session, name) {
  const params = named(name);
  params.headers.Authorization = `Bearer ${session.token}`;
  return params;
}

// expect returns the body of an answer that is as it should be, or null.
function expect(answer, status, fits = () => true) {
  const body = json(answer);
  let ok = answer.status === status;
  try {
    ok = ok && fits(body);
  } catch (e) {
    ok = false; // another body than was looked for
  }
  errors.add(!ok);
  const path = answer.request.url.slice(target.length).split('?')[0].replace(/[0-9a-f-]{36}/, '{id}');
  const what = `${answer.request.method} ${path}`;
  check(ok, { [ok ? what : `${what}: ${answer.error || answer.status}`]: (is) => is }); // the summary says what failed, and how
  return ok ? body : null;
}

function json(answer) {
  try {
    return answer.json();
  } catch (e) {
    return null; // no body, or another kind
  }
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) };
}
