import type { SamError } from '../errors.js';
import { concatBytes } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';

/**
 * GET over HTTP, as files, zarrs and models are read: what may pass (busy servers, lost connections, also in the middle
 * of an answer) is asked for again, twice, with growing pauses; where a range is refused the whole is asked for; the body
 * is read with progress. User and password of an address are sent as a header (basic authentication), as fetch takes none.
 */
export interface HttpOptions extends TaskOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes from `offset`; the last `-offset` of the file if it is negative and there is no length. */
  readonly range?: { readonly offset: number; readonly length?: number };
  /** Looks at the answer before its body is read; what it throws is thrown. */
  readonly check?: (response: Response) => void;
  /** What goes wrong on the way, as an error of whoever asks; the text goes on after the name of what was asked for. */
  readonly failure: (text: string, cause?: unknown) => SamError;
}

export interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);
/** What servers answer that know no ranges. */
const RANGE_REFUSED = new Set([400, 405, 416, 501]);
const ATTEMPTS = 3;
const LONGEST_PAUSE_MS = 15_000;

/** @returns answers of every status; those that mean "try again" only after it was tried */
export async function httpGet(url: string | URL, options: HttpOptions): Promise<HttpAnswer> {
  const answer = await ask(url, options);
  // 416 is also said of the end of an empty file, of which the whole is nothing.
  if (options.range === undefined || !RANGE_REFUSED.has(answer.status)) return answer;
  return ask(url, { ...options, range: undefined });
}

async function ask(url: string | URL, options: HttpOptions): Promise<HttpAnswer> {
  const { signal, failure } = options;
  const { address, headers } = withoutLogin(url);
  for (let attempt = 1; ; attempt++) {
    const last = attempt === ATTEMPTS || !/^https?:/i.test(String(url));
    let response: Response | undefined;
    try {
      response = await fetch(address, { headers: { ...headers, ...headersOf(options) }, signal });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      if (last) throw failure('cannot be reached; check the address and that the server allows CORS', cause);
    }
    if (response && (last || !TRANSIENT.has(response.status))) {
      options.check?.(response);
      try {
        return await answerOf(response, url, options);
      } catch (cause) {
        if (signal?.aborted) throw signal.reason instanceof Error ? signal.reason : cause;
        if (last) throw failure('broke off while it was read; try again', cause);
      }
    } else await response?.body?.cancel().catch(() => undefined);
    await pause(pauseAfter(attempt, response), signal);
  }
}

/** An address as it can be shown and asked for, and what its user and password become. */
export function withoutLogin(url: string | URL): {
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
} {
  const parsed = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (!parsed || (parsed.username === '' && parsed.password === '')) return { address: String(url), headers: {} };
  const login = [parsed.username, parsed.password].map(decodeURIComponentOrKeep).join(':');
  const bytes = new TextEncoder().encode(login);
  parsed.username = '';
  parsed.password = '';
  return { address: parsed.href, headers: { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` } };
}

function headersOf({ headers = {}, range }: HttpOptions): Record<string, string> {
  if (!range) return { ...headers };
  const { offset, length } = range;
  const end = length === undefined ? '' : offset + length - 1;
  return { ...headers, Range: offset < 0 ? `bytes=${offset}` : `bytes=${offset}-${end}` };
}

async function answerOf(response: Response, url: string | URL, task: TaskOptions): Promise<HttpAnswer> {
  const bytes = await bodyOf(response, url, task);
  const { status, statusText, ok, headers } = response;
  return { status, statusText, ok, headers, bytes };
}

async function bodyOf(response: Response, url: string | URL, { signal, onProgress }: TaskOptions): Promise<Uint8Array> {
  if (!onProgress || !response.body) return new Uint8Array(await response.arrayBuffer());
  const expected = Number(response.headers.get('content-length') ?? 0);
  const message = `Loading ${nameOfUrl(String(url))}`;
  const chunks: Uint8Array[] = [];
  let done = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) break;
    signal?.throwIfAborted();
    chunks.push(value);
    done += value.length;
    onProgress({ done, total: Math.max(expected, done), message });
  }
  return concatBytes(chunks);
}

/** 400 ms, then 1.6 s; longer if the server says so. */
function pauseAfter(attempt: number, response?: Response): number {
  const asked = Number(response?.headers.get('retry-after') ?? 0) * 1000;
  return Math.min(LONGEST_PAUSE_MS, Math.max(100 * 4 ** attempt, Number.isFinite(asked) ? asked : 0));
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** What a server says it sent, where it says so and lets the page read it. */
export function contentRange({ headers }: Pick<HttpAnswer, 'headers'>): {
  readonly start?: number;
  readonly total?: number;
} {
  const [, start, total] = /bytes (?:(\d+)-\d+|\*)\/(\d+)/.exec(headers.get('content-range') ?? '') ?? [];
  return { ...(start !== undefined && { start: Number(start) }), ...(total !== undefined && { total: Number(total) }) };
}

/** Of another file in the same folder; what the query allows (a signature) may hold for it too. */
export function addressBeside(url: string, name: string): string {
  const { search, href } = new URL(url);
  return `${new URL(encodeURIComponent(name), href).href}${search}`;
}

export function withoutQuery(address: string): string {
  return address.replace(/[?#].*$/s, '');
}

export function nameOfUrl(url: string): string {
  const path = withoutQuery(url).replace(/\/+$/, '');
  return decodeURIComponentOrKeep(path.slice(path.lastIndexOf('/') + 1)) || url;
}

function decodeURIComponentOrKeep(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
