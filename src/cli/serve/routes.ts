import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { asSamError, type ErrorCode } from '../../errors.js';
import { isSecret } from './token.js';

/** One request, whose asker and method have been checked. */
export interface Ask {
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface Route {
  /** Of the path: one that ends with a slash is that of everything below it. */
  readonly path: string;
  readonly methods: readonly string[];
  /** Only for clients that know the token. */
  readonly secret?: boolean;
  /** For pages of any origin: it tells nothing of whoever runs the server. */
  readonly open?: boolean;
  /** May throw: a SamError becomes the status of its code, anything else 500 without details. */
  answer(ask: Ask): Promise<void> | void;
}

export interface Guard {
  readonly token: string;
  /** Origins under which pages may ask. */
  readonly origins: () => readonly string[];
  readonly log: (line: string) => void;
}

/** Headers of every answer. */
const HEADERS = {
  // Whatever a file or an error text holds, it is no page of ours; the pages set their own.
  'Content-Security-Policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const STATUS: Partial<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  not_found: 404,
  storage: 507,
};

/**
 * Answers requests by the first route that fits. Whoever asks under another host name (DNS rebinding) or from a page of
 * another origin is refused before, and nothing that a handler throws ends the process or leaves a client waiting.
 */
export function answerRequests(routes: readonly Route[], guard: Guard): RequestListener {
  return (request, response) => {
    response.on('error', () => response.destroy());
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    void answer(routes, guard, request, response).catch((error) => fail(error, guard, response));
  };
}

async function answer(
  routes: readonly Route[],
  { token, origins }: Guard,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const origin = `http://${request.headers.host}`;
  const sameOrigin = request.headers.origin === undefined || request.headers.origin === origin;
  const url = addressOf(request.url, origin);
  const route = routes.find(({ path }) =>
    path.endsWith('/') ? url?.pathname.startsWith(path) : url?.pathname === path,
  );
  if (!origins().includes(origin) || !(sameOrigin || route?.open))
    return refuse(response, 403, 'Only pages of this server may ask.');
  if (url === undefined) return refuse(response, 400, 'This is not an address of this server.');
  if (saysTwice(request)) return refuse(response, 400, 'Host, origin and token are said once.');
  if (route === undefined) return refuse(response, 404, 'There is nothing at this address.');
  if (route.secret && !hasToken(request, token)) return refuse(response, 401, 'The token is missing or wrong.');
  const method = request.method ?? '';
  if (!route.methods.includes(method)) {
    response.setHeader('Allow', route.methods.join(', '));
    return refuse(response, 405, `This address answers ${route.methods.join(', ')}, not ${method}.`);
  }
  if (route.open) {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  }
  await route.answer({ url, request, response });
}

function addressOf(target: string | undefined, origin: string): URL | undefined {
  if (!target?.startsWith('/')) return undefined;
  // ImJoy joins addresses with doubled slashes; at the start they would name a host.
  const path = target.replace(/^[/\\]+/, '/');
  return URL.canParse(path, origin) ? new URL(path, origin) : undefined;
}

const ONCE = new Set(['host', 'origin', 'authorization']);

/** Who asks and where: a proxy might look at another one than we. */
function saysTwice({ rawHeaders }: IncomingMessage): boolean {
  const said = rawHeaders.map((text) => text.toLowerCase()).filter((name, i) => i % 2 === 0 && ONCE.has(name));
  return new Set(said).size < said.length;
}

function hasToken(request: IncomingMessage, token: string): boolean {
  return isSecret(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '', token);
}

/** The body of a refused request is not read: the connection ends with the answer. */
export function refuse(response: ServerResponse, status: number, text: string): void {
  const unread = response.req.method !== 'GET' && response.req.method !== 'HEAD';
  if (unread) response.setHeader('Connection', 'close');
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
}

function fail(thrown: unknown, { log }: Guard, response: ServerResponse): void {
  const error = asSamError(thrown);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  for (const name of ['Accept-Ranges', 'Cache-Control', 'ETag', 'Last-Modified']) response.removeHeader(name);
  const status = STATUS[error.code];
  if (status === undefined) log(`${response.req.method} failed: ${error.message}`);
  refuse(
    response,
    status ?? 500,
    status === undefined ? 'The server could not answer; see its terminal.' : error.message,
  );
}
