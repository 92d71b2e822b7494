import { SamError } from '../../src/errors.js';

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
