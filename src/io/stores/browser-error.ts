import { SamError } from '../../errors.js';

/** What a browser's storage throws, as a typed error a person can act on. */
export function browserStorageError(error: unknown, verb: string, key: string): SamError {
  if (error instanceof SamError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  const reason =
    REASONS[name] ?? (error instanceof Error || error instanceof DOMException ? error.message : String(error));
  return new SamError('storage', `Could not ${verb} "${key}": ${reason}.`, {
    cause: error,
    details: { key, reason: name },
  });
}

const REASONS: Readonly<Record<string, string>> = {
  QuotaExceededError: "the browser's storage is full; delete cached data or free disk space",
  NotAllowedError: 'the browser denied access; allow storage for this page',
  SecurityError: 'the browser denies storage to this page; private windows and blocked cookies do that',
  NoModificationAllowedError: 'another tab is writing the same data; close it and try again',
};
