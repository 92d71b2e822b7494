/** Long work takes these as its last argument and calls `signal.throwIfAborted()` at each step. */
export interface TaskOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** `done` of `total` units are finished; `message` is a short phrase for people, e.g. "Encoding tile 3 of 12". */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

/**
 * Lets what else waits for this thread go first: what a hand does, what is to be drawn. Unlike a timer it is not held back
 * where the page is hidden.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
