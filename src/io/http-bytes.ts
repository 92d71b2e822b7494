import { SamError } from '../errors.js';
import type { TaskOptions } from '../task.js';
import { type ByteSource, checkRange, MAX_WHOLE_DOWNLOAD, memoryBytes } from './bytes.js';
import { contentRange, type HttpAnswer, httpGet, nameOfUrl, withoutLogin } from './http.js';

const PROBE_LENGTH = 65_536;
/** More is read in parts of this length, each of which can be asked for again. */
const PART_LENGTH = 16 << 20;
/** Reading less is not worth a word. */
const TELLING_LENGTH = 1 << 20;

/** A file behind an address. Asks for ranges; where the server sends the whole file instead, that copy is kept. */
export async function httpBytes(url: string, options: TaskOptions = {}): Promise<ByteSource> {
  const name = nameOfUrl(url);
  const first = await getBytes(url, { ...options, range: { offset: 0, length: PROBE_LENGTH } });
  const size = rangedSize(first);
  if (size === undefined) {
    const whole = first.status === 206 ? await getBytes(url, options) : first;
    return memoryBytes(whole.bytes, name);
  }
  const head = first.bytes;
  return {
    name,
    size,
    async read(offset, length, { signal, onProgress } = {}) {
      signal?.throwIfAborted();
      checkRange(name, size, offset, length);
      if (offset + length <= head.length) return head.subarray(offset, offset + length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; done += PART_LENGTH) {
        const part = await readPart(
          url,
          size,
          { offset: offset + done, length: Math.min(PART_LENGTH, length - done) },
          {
            signal,
            ...(onProgress &&
              length >= TELLING_LENGTH && {
                onProgress: (progress) => onProgress({ ...progress, done: done + progress.done, total: length }),
              }),
          },
        );
        if (part.length === length) return part;
        bytes.set(part, done);
      }
      return bytes;
    },
  };
}

/** The length of the file, if its server answers ranges of it as it is. */
function rangedSize(first: HttpAnswer): number | undefined {
  const { total } = contentRange(first);
  // Where a server unpacks on the way (.gz as a content encoding), ranges are of something else than what arrives.
  if (first.status !== 206 || total === undefined || first.headers.get('content-encoding')) return undefined;
  return first.bytes.length === Math.min(PROBE_LENGTH, total) ? total : undefined;
}

async function readPart(
  url: string,
  size: number,
  range: { readonly offset: number; readonly length: number },
  task: TaskOptions,
): Promise<Uint8Array> {
  const { status, bytes } = await getBytes(url, { ...task, range });
  if (status === 206 && bytes.length === range.length) return bytes;
  if (status === 200 && bytes.length === size) return bytes.subarray(range.offset, range.offset + range.length);
  throw new SamError(
    'invalid_image',
    `${withoutLogin(url).address} sent ${bytes.length} bytes where ${range.length} were asked for; it may have changed. Open it again.`,
  );
}

/** Of a file at an address: all of it, or a range. */
export interface BytesRequest extends TaskOptions {
  readonly range?: { readonly offset: number; readonly length: number };
  /** What is done with it, once it was downloaded by hand because its server answers no ranges. Default: 'open'. */
  readonly use?: 'open' | 'import';
  /** What to know if the connection fails: a sentence. */
  readonly afterFailure?: string;
}

/** @throws SamError `not_found` for whatever is no success, `unsupported` for what is too large to be read whole */
export async function getBytes(place: string, request: BytesRequest): Promise<HttpAnswer> {
  const { range, use = 'open', afterFailure, ...task } = request;
  const url = withoutLogin(place).address;
  const failure = (text: string, cause?: unknown) =>
    new SamError('not_found', [`${url} ${text}.`, afterFailure].filter(Boolean).join(' '), { cause });
  const check = ({ status, headers }: Response) => {
    const length = Number(headers.get('content-length') ?? 0);
    if (status === 200 && length > MAX_WHOLE_DOWNLOAD)
      throw new SamError(
        'unsupported',
        `${url} is ${length} bytes and its server does not answer range requests; download it and ${use} the file.`,
      );
  };
  const answer = await httpGet(place, { ...task, ...(range && { range }), check, failure });
  if (answer.ok) return answer;
  throw new SamError('not_found', `${url} answered ${answer.status} ${answer.statusText}${adviceFor(answer.status)}.`, {
    details: { status: answer.status },
  });
}

function adviceFor(status: number): string {
  if (status === 401 || status === 403)
    return '; it asks for a login: give it in the address (https://user:password@…), or download the file';
  if (status === 404 || status === 410) return '; check the address';
  return '; try again later';
}
