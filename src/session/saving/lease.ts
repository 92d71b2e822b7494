/**
 * The right to save the work on one image, which one window at a time has. Others show the image and can take over. A
 * lease is for people: should two windows ever believe that they have it, the journal loses nothing (journal.ts).
 */
export interface Lease {
  readonly held: boolean;
  /** Has the window that holds it finish and give it up, and takes it from one that does not answer. */
  take(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Asks for the lease of an image, and waits for it from then on if another window has it.
 *
 * @param onChange it was granted, or another window takes it: what is unsaved can be saved until the promise resolves
 */
export type RequestLease = (image: string, onChange: (held: boolean) => Promise<void>) => Promise<Lease>;
