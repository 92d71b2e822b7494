import { SamError } from '../../src/errors.js';

/**
 * imjoy-rpc lets a function argument be called once. Functions in an object that carries `_rintf` may be called again and
 * again; the mark must be on the very object that holds the function, since core renames nested ones otherwise.
 */
export function callable<T extends object>(functions: T): T & { readonly _rintf: true } {
  return { ...functions, _rintf: true };
}

/** Some calls of Kaibu never resolve (a widget added twice, an unknown type): nothing is awaited without a limit. */
export async function within<T>(promise: Promise<T> | T, what: string, milliseconds = 15_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new SamError('viewer_lost', `The viewer did not answer to "${what}" in ${milliseconds / 1000} s; reopen it.`),
        ),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
