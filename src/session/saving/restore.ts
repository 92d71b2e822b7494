import { asSamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';
import type { ImageInfo } from '../state.js';
import { nothingSaved, type Restored } from './saved-fields.js';
import { applyStored, readSnapshotOfVersion1, readStored, type Stored } from './stored.js';

/** Where the files of one journal are, below its root. */
export const JOURNAL = 'journal/';
export const SNAPSHOTS = 'snapshots/';
export const BRANCHES = 'branches/';
export const DAMAGED = 'damaged/';
/** The one snapshot of version 1. */
export const OLD_SNAPSHOT = 'snapshot';

export function keyOf(root: string, folder: string, number: number): string {
  return `${root}/${folder}${String(number).padStart(9, '0')}`;
}

export interface Found {
  /** Undefined if nothing was saved. */
  readonly state?: Restored;
  /** Of the last change; the next one goes on from there. */
  readonly head: Head;
  /** Of the snapshot that the state was restored from. */
  readonly base: number;
  /** Bytes and number of the changes since. */
  readonly since: { readonly bytes: number; readonly entries: number };
  /** Bytes of the snapshot. */
  readonly snapshotBytes: number;
  /** Who stored the last change. */
  readonly writer?: string;
  /** When the last change was made, by the clock of whoever made it. */
  readonly time?: number;
  /** Keys of files that could not be read, or not wholly. */
  readonly damaged: readonly string[];
  /** Whether a newer version of this program saved here. */
  readonly newer: boolean;
  readonly isVersion1: boolean;
  /** Something in it reaches outside the image, or was saved of one of another size. */
  readonly isOfOtherShape: boolean;
}

export interface Head {
  readonly number: number;
  /** Undefined if there is no change of that number, or it is damaged. */
  readonly digest?: string;
}

interface Base {
  readonly number: number;
  readonly state: Restored;
  /** Of the last change in it. */
  readonly digest?: string;
  readonly bytes: number;
  readonly time?: number;
  readonly sound: boolean;
}

/**
 * The state that a journal holds: the newest sound snapshot and, one by one, every change since that can be read. A
 * damaged snapshot is passed over if the one before and the changes between are there, else what can be read of it is
 * taken; a damaged change costs what is damaged in it.
 *
 * @param until restore the state as it was after this change
 * @throws SamError `storage` if the store does not answer; a single file that cannot be read is damage
 */
export async function restore(
  store: Store,
  root: string,
  image: ImageInfo,
  until = Number.POSITIVE_INFINITY,
): Promise<Found> {
  return new Restoring(store, root, image, until).run();
}

class Restoring {
  private readonly damaged = new Set<string>();
  private newer = false;
  private isOfOtherShape = false;
  private refusedReads = 0;

  constructor(
    private readonly store: Store,
    private readonly root: string,
    private readonly image: ImageInfo,
    private readonly until: number,
  ) {}

  async run(): Promise<Found> {
    const { store, root } = this;
    const keys = await listKeys(store, `${root}/`);
    const changes = numbersOf(keys, `${root}/${JOURNAL}`).filter((number) => number <= this.until);
    const base = await this.base(keys, new Set(changes));
    const found = await this.replay(base, changes);
    // One bad file is damage; a store that has gone is not.
    if (this.refusedReads > 0) await listKeys(store, `${root}/`);
    return found;
  }

  private async base(keys: readonly string[], changes: ReadonlySet<number>): Promise<Base> {
    const { root } = this;
    const numbers = numbersOf(keys, `${root}/${SNAPSHOTS}`).filter((number) => number <= this.until);
    let damaged: Base | undefined;
    let wanted = 0;
    const leadsOn = (number: number) => {
      for (let next = number + 1; next <= wanted; next++) if (!changes.has(next)) return false;
      return true;
    };
    let best: Base | undefined;
    for (const number of numbers.reverse()) {
      const base = await this.snapshot(number);
      wanted = Math.max(wanted, number);
      if (base?.sound) {
        if (leadsOn(number)) return base;
        best ??= base;
      } else damaged ??= base;
    }
    if (keys.includes(`${root}/${OLD_SNAPSHOT}`)) {
      const base = await this.snapshotOfVersion1();
      if (base && (numbers.length === 0 || leadsOn(base.number))) return base;
    }
    const nothing: Base = { number: 0, state: nothingSaved(), bytes: 0, sound: true };
    return leadsOn(0) ? nothing : (damaged ?? best ?? nothing);
  }

  private async snapshot(number: number): Promise<Base | undefined> {
    const key = keyOf(this.root, SNAPSHOTS, number);
    const read = await this.read(key);
    if (!read) return undefined;
    const { stored, bytes } = read;
    const { state, refused, outside } = applyStored(nothingSaved(), stored.change, this.image);
    this.isOfOtherShape ||= outside;
    const sound = stored.damaged + refused === 0;
    if (!sound) this.damaged.add(key);
    const { previous, time } = stored.header ?? {};
    return { number, state, sound, bytes, ...(previous && { digest: previous }), ...(time !== undefined && { time }) };
  }

  private async snapshotOfVersion1(): Promise<Base | undefined> {
    const key = `${this.root}/${OLD_SNAPSHOT}`;
    const bytes = await this.bytes(key);
    if (!bytes) return undefined;
    const snapshot = await readSnapshotOfVersion1(bytes, this.image).catch((error) => {
      this.isOfOtherShape ||= asSamError(error).code === 'signature_mismatch';
      return undefined;
    });
    if (snapshot) return { ...snapshot, bytes: bytes.length, sound: true };
    this.damaged.add(key);
    return undefined;
  }

  private async replay(base: Base, changes: readonly number[]): Promise<Found> {
    let { state, digest, time } = base;
    let writer: string | undefined;
    let foreign = false;
    let last = base.number;
    let entries = 0;
    let total = 0;
    let isVersion1 = false;
    for (const number of changes) {
      if (number <= base.number) continue;
      const key = keyOf(this.root, JOURNAL, number);
      const read = await this.read(key);
      if (!read && !this.damaged.has(key)) continue; // made, but never written
      if (number !== last + 1) this.damaged.add(keyOf(this.root, JOURNAL, last + 1));
      const previous = read?.stored.header?.previous;
      // A change that follows another than the one that is here belongs to other work; so do those that follow it.
      const follows = number !== last + 1 || !previous || digest === undefined || previous === digest;
      foreign = follows ? foreign && previous !== null : true;
      last = number;
      digest = read?.stored.digest;
      entries++;
      if (!read) continue;
      total += read.bytes;
      isVersion1 ||= read.stored.header === undefined && read.stored.damaged === 0;
      if (foreign) {
        this.damaged.add(key);
        continue;
      }
      const applied = applyStored(state, read.stored.change, this.image);
      state = applied.state;
      this.isOfOtherShape ||= applied.outside;
      if (read.stored.damaged + applied.refused > 0) this.damaged.add(key);
      time = read.stored.header?.time ?? time;
      writer = read.stored.header?.writer;
    }
    const isEmpty = last === 0 && base.bytes === 0;
    return {
      ...(!isEmpty && { state }),
      head: { number: last, ...(digest !== undefined && { digest }) },
      base: base.number,
      since: { bytes: total, entries },
      snapshotBytes: base.bytes,
      ...(time !== undefined && { time }),
      ...(writer !== undefined && { writer }),
      damaged: [...this.damaged].sort(),
      newer: this.newer,
      isVersion1: isVersion1 || (base.bytes > 0 && base.time === undefined),
      isOfOtherShape: this.isOfOtherShape,
    };
  }

  private async read(key: string): Promise<{ stored: Stored; bytes: number } | undefined> {
    const bytes = await this.bytes(key);
    if (!bytes) return undefined;
    try {
      return { stored: await readStored(bytes), bytes: bytes.length };
    } catch (error) {
      this.newer ||= asSamError(error).code === 'unsupported';
      this.damaged.add(key);
      return undefined;
    }
  }

  /** Undefined also for a file that was made but never written: browsers make it first, and no sealed value is empty. */
  private async bytes(key: string): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.store.get(key);
      return bytes?.length ? bytes : undefined;
    } catch {
      this.refusedReads++;
      this.damaged.add(key);
      return undefined;
    }
  }
}

/** Ascending. */
export function numbersOf(keys: readonly string[], prefix: string): number[] {
  return keys
    .filter((key) => key.startsWith(prefix))
    .map((key) => Number.parseInt(key.slice(prefix.length), 10))
    .filter((number) => number > 0 || number === 0)
    .sort((a, b) => a - b);
}
