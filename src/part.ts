import { SamError } from './errors.js';

/**
 * A part of the program that a page loads when it is first needed, or ahead of that. Where the program is one file, as in
 * Node, it is there at once. The parts of a layer are named in its `parts.ts`; `plugin/app/parts-ahead.ts` loads those of a page
 * ahead of their use.
 */
export type Part<T> = () => Promise<T>;

/**
 * @param what it is, for people, e.g. "What reads image files"
 * @returns what loads it, once; after a failure each call tries again, and rejects with SamError `not_found`
 */
export function part<T>(what: string, load: () => Promise<T>): Part<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= reachable()
      .then(load)
      .catch((error: unknown) => {
        loading = undefined;
        throw new SamError(
          'not_found',
          `The server does not answer, or has other files by now: start it and try again, or reload the page. Your work is kept. ${what} could not be loaded.`,
          { cause: error },
        );
      });
    return loading;
  };
}

let reachable = async (): Promise<void> => {};

/**
 * What is asked before a part is loaded, and rejects while none can be: a browser does not try a second time what it failed to
 * load once.
 */
export function askBeforeLoading(question: () => Promise<void>): void {
  reachable = question;
}
