import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { SamError } from '../../errors.js';
import { withoutLogin } from '../../io/http.js';

const ASKED = ['range', 'if-none-match', 'if-range', 'if-modified-since'] as const;
const ANSWERED = ['content-length', 'content-range', 'accept-ranges', 'etag', 'last-modified', 'retry-after'] as const;

/**
 * What lies at an address that the user named on the command line, handed to the page, which its server may not allow
 * to ask (CORS). Ranges are passed on, nothing is kept.
 *
 * @param below names of a file in the folder that the address is
 */
export async function sendAddress(
  address: string,
  below: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const place = withoutLogin(addressBelow(address, below));
  const answer = await fetch(place.address, {
    method: request.method,
    headers: { 'accept-encoding': 'identity', ...place.headers, ...pick(ASKED, (name) => request.headers[name]) },
    signal: gone.signal,
  }).catch((cause) => {
    throw new SamError('not_found', `${place.address} cannot be reached.`, { cause });
  });
  // A body that fetch has unpacked is longer than announced.
  const packed = (answer.headers.get('content-encoding') ?? 'identity') !== 'identity';
  const names = packed ? ANSWERED.filter((name) => !/^content-|^accept-/.test(name)) : ANSWERED;
  response.writeHead(answer.status, {
    'Content-Type': answer.headers.get('content-type')?.startsWith('text/html')
      ? 'text/html'
      : 'application/octet-stream',
    ...pick(names, (name) => answer.headers.get(name) ?? undefined),
  });
  if (answer.body === null) response.end();
  else await pipeline(Readable.fromWeb(answer.body as ReadableStream), response).catch(() => response.destroy());
}

/** @throws SamError `not_found` for names that lead out of the folder */
function addressBelow(address: string, below: readonly string[]): URL {
  const url = new URL(address);
  if (below.length === 0) return url;
  if (below.some((name) => name === '..' || name === '.' || /[/\\\0]/.test(name)))
    throw new SamError('not_found', 'There is no such file.');
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${below.map(encodeURIComponent).join('/')}`;
  return url;
}

function pick<Name extends string>(
  names: readonly Name[],
  answerFor: (name: Name) => string | string[] | undefined,
): Record<string, string> {
  const values = names.map((name) => [name, answerFor(name)] as const);
  return Object.fromEntries(values.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])));
}
