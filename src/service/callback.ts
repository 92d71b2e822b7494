import { SamError } from '../errors.js';

/** A caller's function, however it crossed: as a function, or as an interface object with one. */
export type Callback = (payload: unknown) => unknown;

/**
 * @param event the function of an interface that is meant, if it has several
 * @throws SamError `invalid_argument`
 */
export function callable(callback: unknown, event: string): Callback {
  if (typeof callback === 'function') return callback as Callback;
  if (typeof callback === 'object' && callback !== null) {
    const functions = Object.entries(callback).filter(([, value]) => typeof value === 'function');
    const found = functions.find(([name]) => name === event) ?? (functions.length === 1 ? functions[0] : undefined);
    if (found) return (payload) => (found[1] as Callback).call(callback, payload);
  }
  throw new SamError(
    'invalid_argument',
    `The callback must be a function, or { _rintf: true, ${event}(payload) { … } } if it is to be called more than once.`,
  );
}
