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
