// What somebody does who has nothing but the generated client. It prints a line
// for each step and ends with 1 at the first that goes wrong.
import {
  authLogin, crmCreateCustomer, gatewayAdminArea, ticketsCreateTicket, ticketsGetTicket, ticketsListTickets,
  type AuthErrorCode, type GatewayError, type GatewayErrorCode, type TicketsTicketPage,
} from './api/index.js';
import { client } from './api/client.gen.js';

const [baseUrl, email, password] = process.argv.slice(2);
if (!baseUrl || !email || !password) {
  throw new Error('usage: main.js GATEWAY EMAIL PASSWORD');
}
const credentials = { email, password };
let token: string | undefined;
client.setConfig({ baseUrl, auth: () => token });

function fail(what: string, got: unknown): never {
  throw new Error(`${what}: ${JSON.stringify(got)}`);
}

// step tells that one is done.
const step = (name: string) => console.log(name);

async function login(): Promise<void> {
  const { data, error } = await authLogin({ body: credentials });
  if (error) fail('login', error);
  token = data.access_token;
  step(`login ${data.user.email}`);
}

async function openTicket(): Promise<string> {
  const customer = await crmCreateCustomer({ body: { name: 'Generated Ltd' } });
  if (customer.error) fail('customer', customer.error);
  step(`customer ${customer.data.name}`);
  const ticket = await ticketsCreateTicket({
    body: { subject: 'Typed by a generator', customerId: customer.data.id, priority: 'high' },
  });
  if (ticket.error) fail('ticket', ticket.error);
  step(`ticket ${ticket.data.priority} ${ticket.data.status}`);

  const read = await ticketsGetTicket({ path: { id: ticket.data.id } });
  if (read.error) fail('read', read.error);
  if (read.data.subject !== ticket.data.subject || read.data.id !== ticket.data.id) fail('read', read.data);
  step(`read ${read.data.subject}`);

  const found = await ticketsListTickets({
    query: { customerId: customer.data.id, priority: 'high', status: 'open', q: 'GENERATOR', limit: 1 },
  });
  if (found.error) fail('list', found.error);
  const page: TicketsTicketPage = found.data;
  if (page.items[0]?.id !== ticket.data.id) fail('list', page);
  const none = await ticketsListTickets({ query: { customerId: customer.data.id, priority: 'low' } });
  if (none.data?.total !== 0) fail('list of low ones', none);
  step(`list ${page.total} of at most ${page.limit}`);
  return ticket.data.id;
}

// Each refusal is told by its code, which is one of those that the document names.
async function unauthorized(id: string): Promise<void> {
  const kept = token;
  token = undefined;
  const { error, response } = await ticketsGetTicket({ path: { id } });
  token = kept;
  if (error?.error.code !== 'NO_TOKEN') fail('without a token', error);
  const code: 'NO_TOKEN' = error.error.code; // it is narrowed
  step(`${response.status} ${code}`);
}

async function forbidden(): Promise<void> {
  const { error, response } = await gatewayAdminArea();
  if (error?.error.code !== 'INSUFFICIENT_PERMISSIONS') fail('without the role', error);
  const typed: GatewayError = error;
  step(`${response.status} ${typed.error.code} ${typed.error.status}`);
}

async function missing(): Promise<void> {
  const { error, response } = await ticketsGetTicket({ path: { id: '00000000-0000-4000-8000-000000000000' } });
  if (error?.error.code !== 'NOT_FOUND') fail('a ticket that is not there', error);
  step(`${response.status} ${error.error.code} ${error.error.request_id === response.headers.get('X-Request-ID')}`);
}

async function limited(): Promise<void> {
  for (let n = 1; n <= 5; n++) {
    const { error } = await authLogin({ body: { ...credentials, password: 'wrong' } });
    if (error?.error.code !== 'NOT_AUTHENTICATED') fail(`wrong password ${n}`, error);
  }
  const { error, response } = await authLogin({ body: { ...credentials, password: 'wrong' } });
  switch (error?.error.code) {
    case 'RATE_LIMIT_EXCEEDED':
      step(`${response.status} ${error.error.code} ${Number(response.headers.get('Retry-After')) > 0}`);
      return;
    default:
      fail('the sixth wrong password', error);
  }
}

// Codes that nobody answers with do not compile.
// @ts-expect-error
const noGatewayCode: GatewayErrorCode = 'NO_SUCH_CODE';
// @ts-expect-error
const noServiceCode: AuthErrorCode = 'RATE_LIMIT_EXCEEDED';
// @ts-expect-error
const noPriority = () => ticketsListTickets({ query: { priority: 'highest' } });
// @ts-expect-error
const noSubject = () => ticketsCreateTicket({ body: { customerId: 'c' } });
void [noGatewayCode, noServiceCode, noPriority, noSubject];

await login();
const id = await openTicket();
await unauthorized(id);
await forbidden();
await missing();
await limited();
