/**
 * The one error type that leaves this library. `code` is a closed set that callers may switch on and that survives RPC
 * (see worker/connection.ts and service/); `message` says what was got, what was expected and what to do next.
 */
export const ERROR_CODES = [
  'no_image', // an action needs an open image
  'no_embedding', // an action needs the image embedding
  'no_worker', // no worker is connected
  'no_prompts', // nothing to segment from
  'model_unavailable', // model unknown, unreachable, corrupt, or not what it claims to be
  'signature_mismatch', // stored embedding or session belongs to other pixels, model or tiling
  'invalid_prompt', // prompt outside the image, degenerate, wrong shape
  'invalid_image', // truncated, empty, inconsistent image data
  'invalid_argument', // an option or argument has the wrong type or range
  'unsupported', // a valid input that uses a feature we do not read or write; message names the feature
  'not_found', // file, layer, object or key does not exist
  'viewer_lost', // the viewer's window was closed or does not answer
  'read_only', // another window annotates this image
  'storage', // quota, permission, disk full
  'cancelled', // the caller cancelled or a newer request superseded this one
  'worker_lost', // the worker went away in mid-work
  'internal', // a defect of ours
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export class SamError extends Error {
  override readonly name = 'SamError';
  readonly code: ErrorCode;
  /** Plain data a caller can act on, e.g. `{ got: [5, 4], expected: [4, 4] }`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Anything thrown, as a SamError: aborts become `cancelled`, unknown errors `internal`; the original is kept as `cause`. */
export function asSamError(error: unknown): SamError {
  if (error instanceof SamError) return error;
  if (error instanceof DOMException && error.name === 'AbortError')
    return new SamError('cancelled', 'Cancelled.', { cause: error });
  if (error instanceof Error && error.name === 'AbortError')
    return new SamError('cancelled', 'Cancelled.', { cause: error });
  return new SamError('internal', messageOf(error), { cause: error });
}

/** What anything thrown says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code that Node gives its errors, `ENOENT` say; undefined for what has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
