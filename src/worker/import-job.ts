import type { KeptModel } from '../model/kept-models.js';
import type { Progress } from '../task.js';

/** What the worker that imports models is asked for; `'cancel'` ends it. */
export interface ImportJob {
  /** Files or addresses that make one model; or the name of a published one. */
  readonly from: readonly (Blob | string)[];
  readonly name?: string;
  /** Names of models of other kinds, which it does not take by default. */
  readonly taken?: readonly string[];
  readonly half?: boolean;
}

export type ImportNews =
  | { readonly progress: Progress }
  | { readonly kept: KeptModel }
  | { readonly error: { readonly code: string; readonly message: string } };
