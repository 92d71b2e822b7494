import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';
import { itemAt, present } from '../../items.js';
import type { ImageInfo, SessionState } from '../state.js';
import { changeBetween, wholeState } from './change.js';
import { claimHome, rootOf } from './home.js';
import {
  BRANCHES,
  DAMAGED,
  type Found,
  type Head,
  JOURNAL,
  keyOf,
  numbersOf,
  OLD_SNAPSHOT,
  restore,
  SNAPSHOTS,
} from './restore.js';
import { restorable } from './saved-fields.js';
import { DIGEST, type Sealed, statedDigest } from './sealed.js';
import { sealStored } from './stored.js';

/**
 * One image's work in a store, so that it survives being killed at any moment and other writers at any time: one small
 * file per change, numbered without gaps, each sealed with the seal of the one before, and now and then a snapshot of
 * the whole. No file is ever overwritten: a change is stored by creating its number, so that of two writers one is told
 * that it is saved. The other goes on in a branch, a journal of its own, which can be opened like an earlier version.
 *
 *     <home>/journal/<number>       changes
 *     <home>/snapshots/<number>     states after that change; several are kept (`thinned`)
 *     <home>/branches/<writer>/…    journals that left this one
 *     <home>/damaged/…              copies of what could not be read, kept for rescue
 */
export class Journal {
  /** Of this opening of the image, in every file that it writes. */
  readonly writer = crypto.randomUUID().slice(0, 13);
  /** Bytes of the newest snapshot, and of the changes since then, those of earlier openings included. */
  private snapshotBytes: number;
  private entryBytes: number;
  private entries: number;
  /** A snapshot is due whatever the sizes: what was read here was damaged or old. */
  private snapshotDue = false;
  /** A change that may be stored or not: the store failed in mid-write. */
  private attempt?: { readonly sealed: Sealed; readonly number: number; readonly to: SessionState };
  private lastTime?: number;
  private readonly damaged: ReadonlySet<string>;
  /** Of the damaged files, those that have no copy yet. */
  private notSetAside: ReadonlySet<string>;
  private inBranch: boolean;
  /** The folder is this image's, and not that of one of equal pixels and another shape. */
  private isClaimed: boolean;

  private constructor(
    private readonly store: Store,
    private root: string,
    private readonly image: ImageInfo,
    private head: Head,
    found?: Found,
  ) {
    this.snapshotBytes = found?.snapshotBytes ?? 0;
    this.entryBytes = found?.since.bytes ?? 0;
    this.entries = found?.since.entries ?? 0;
    this.lastTime = found?.time;
    this.damaged = new Set(found?.damaged);
    this.notSetAside = this.damaged;
    this.snapshotDue = this.damaged.size > 0 || found?.isVersion1 === true;
    this.inBranch = root.includes(`/${BRANCHES}`);
    this.isClaimed = root !== rootOf(image);
  }

  /** Reads what is there. `restored` is for `AnnotationSession.open`; `notice` reports damage. */
  static async open(store: Store, image: ImageInfo, root = rootOf(image)): Promise<OpenedJournal> {
    const found = await restore(store, root, image);
    const { number, digest } = found.head;
    // What follows damage follows nothing that could be checked.
    const head = found.damaged.length > 0 || digest === undefined ? { number } : { number, digest };
    const notice = noticeOf(found);
    return {
      journal: new Journal(store, root, image, head, found),
      ...(found.state && { restored: restorable(found.state) }),
      ...(notice && { notice }),
      ...(found.writer && { writer: found.writer }),
    };
  }

  /** A journal that begins with a state of another: where that one cannot be written, or is written by somebody else. */
  static async begin(store: Store, root: string, state: SessionState, at: Head): Promise<Journal> {
    const journal = new Journal(store, root, imageOf(state), at);
    await journal.snapshot(state);
    return journal;
  }

  /** Whether this writer has left the image's journal for one of its own. */
  get isBranch(): boolean {
    return this.inBranch;
  }

  /** The last change that is stored. */
  get position(): Head {
    return this.head;
  }

  /** The folder of the image's work, in whatever branch this is. */
  get home(): string {
    return this.root.replace(/\/.*$/s, '');
  }

  /**
   * Stores the change between two states of this image; resolves once it is safe. `from` is the state that was stored
   * last, also after a failure.
   */
  async append(from: SessionState, to: SessionState): Promise<void> {
    const attempted = this.attempt?.to;
    const before = attempted && (await this.finishAttempt(from)) ? attempted : from;
    const change = changeBetween(before, to);
    if (!change) return;
    if (!this.isClaimed) await this.claim(before);
    if (this.pausedBefore()) await this.trySnapshot(before);
    const number = this.head.number + 1;
    const header = { kind: 'change', number, previous: this.head.digest ?? null, writer: this.writer } as const;
    const sealed = await sealStored({ ...header, time: Date.now() }, change);
    this.attempt = { sealed, number, to };
    if (!(await this.finishAttempt(before))) return this.append(before, to);
    const outgrown = this.entryBytes > Math.max(this.snapshotBytes, SNAPSHOT_BYTES);
    if (outgrown || this.entries >= MAX_ENTRIES || this.snapshotDue) await this.trySnapshot(to);
  }

  /** Stores a state as the first one, where nothing was saved before. */
  async beginWith(state: SessionState): Promise<void> {
    if (!this.isClaimed) await this.claim();
    await this.snapshot(state);
  }

  /** Goes on in a branch that begins with this state. */
  async fork(state: SessionState): Promise<void> {
    const root = `${this.home}/${BRANCHES}${this.writer}`;
    const { root: left } = this;
    this.root = root;
    try {
      await this.snapshot(state);
      this.inBranch = true;
    } catch (error) {
      this.root = left;
      throw error;
    }
  }

  /** @param before what was stored, where the folder has become another image's */
  private async claim(before?: SessionState): Promise<void> {
    const home = await claimHome(this.store, this.image);
    if (home !== this.root) {
      [this.root, this.head] = [home, { number: 0 }];
      if (before) await this.snapshot(before);
    }
    this.isClaimed = true;
  }

  /** @returns false if the number was another writer's: the journal is a branch now, without the change */
  private async finishAttempt(before: SessionState): Promise<boolean> {
    const { sealed, number, to } = present(this.attempt, 'an attempt');
    const key = keyOf(this.root, JOURNAL, number);
    const created = await this.store.create(key, sealed.bytes);
    // Our own value is there if the answer to an earlier attempt was lost.
    const isOurs = created || sameBytes(await this.store.get(key), sealed.bytes);
    const standing = isOurs ? await this.standing() : 'overtaken';
    if (standing === 'overtaken') {
      if (isOurs) await this.store.delete(key);
      await this.fork(before);
      this.attempt = undefined;
      return false;
    }
    const head = { number, digest: sealed.digest };
    if (standing === 'alone') await this.snapshot(to, head);
    this.attempt = undefined;
    this.head = head;
    this.lastTime = Date.now();
    this.entryBytes += sealed.bytes.length;
    this.entries++;
    return true;
  }

  /**
   * Whether our change follows what we think it follows. A writer that was away may create a number that others have
   * stored, folded into a snapshot and removed; they remove in ascending order, so the one before is gone then too.
   * `alone`: somebody has removed what was here, and the change needs all that is before it.
   */
  private async standing(): Promise<'ours' | 'overtaken' | 'alone'> {
    const { number, digest } = this.head;
    if (digest !== undefined) {
      const present = await this.firstBytes(keyOf(this.root, JOURNAL, number));
      if (present?.length) return statedDigest(present) === digest ? 'ours' : 'overtaken';
    }
    const keys = await listKeys(this.store, `${this.root}/`);
    const snapshots = numbersOf(keys, `${this.root}/${SNAPSHOTS}`);
    const changes = numbersOf(keys, `${this.root}/${JOURNAL}`);
    if ([...snapshots, ...changes].some((other) => other > number + 1)) return 'overtaken';
    const isHere = number === 0 || snapshots.includes(number) || (digest === undefined && changes.includes(number));
    return isHere || keys.includes(`${this.root}/${OLD_SNAPSHOT}`) ? 'ours' : 'alone';
  }

  private async firstBytes(key: string): Promise<Uint8Array | undefined> {
    return this.store.getRange ? this.store.getRange(key, 0, DIGEST) : this.store.get(key);
  }

  /** A state from before a pause is an earlier version worth keeping. */
  private pausedBefore(): boolean {
    return this.entries > 0 && this.lastTime !== undefined && Math.abs(Date.now() - this.lastTime) > PAUSE_MS;
  }

  /** The changes are stored: a snapshot that cannot be is tried again later. */
  private async trySnapshot(state: SessionState): Promise<void> {
    try {
      await this.setAside();
      await this.snapshot(state);
      this.snapshotDue = false;
      await this.thin();
    } catch {
      this.snapshotDue = true;
    }
  }

  /** Stores the whole state as it is after the last change. */
  private async snapshot(state: SessionState, { number, digest }: Head = this.head): Promise<void> {
    if (state.image?.signature !== this.image.signature)
      throw new SamError('internal', 'The autosave of one image was given the state of another.');
    const header = {
      kind: 'snapshot',
      number,
      previous: digest ?? null,
      writer: this.writer,
      time: this.lastTime ?? Date.now(), // of the work, not of the writing
    } as const;
    const { bytes } = await sealStored(header, wholeState(state));
    await this.store.create(keyOf(this.root, SNAPSHOTS, number), bytes);
    this.snapshotBytes = bytes.length;
    this.entryBytes = 0;
    this.entries = 0;
  }

  /** Removes versions that lie close together, and changes that no restoring needs. */
  private async thin(): Promise<void> {
    const { store, root } = this;
    const keys = await listKeys(store, `${root}/`);
    const snapshots = numbersOf(keys, `${root}/${SNAPSHOTS}`).reverse();
    const most = Math.max(LEAST_VERSIONS, Math.min(MOST_VERSIONS, Math.floor(VERSION_BYTES / this.snapshotBytes)));
    const kept = thinned(snapshots, most);
    for (const number of snapshots.reverse()) if (!kept.has(number)) await store.delete(keyOf(root, SNAPSHOTS, number));
    const sound = [...kept].filter((number) => !this.damaged.has(keyOf(root, SNAPSHOTS, number)));
    const [, second] = sound.sort((a, b) => b - a);
    if (second === undefined) return;
    for (const number of numbersOf(keys, `${root}/${JOURNAL}`))
      if (number <= second) await store.delete(keyOf(root, JOURNAL, number));
    if (keys.includes(`${root}/${OLD_SNAPSHOT}`)) await store.delete(`${root}/${OLD_SNAPSHOT}`);
  }

  /**
   * Copies what is damaged before a snapshot is made: whoever opens the work after that finds nothing wrong with it, and
   * removes the file when its time has come.
   */
  private async setAside(): Promise<void> {
    for (const key of this.notSetAside) {
      const bytes = await this.store.get(key).catch(() => undefined);
      const name = key.slice(this.root.length + 1).replace('/', '-');
      if (bytes?.length) await this.store.create(`${this.root}/${DAMAGED}${name}`, bytes);
    }
    this.notSetAside = new Set();
  }
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly restored?: Partial<SessionState>;
  readonly notice?: string;
  /** Who stored the last change. */
  readonly writer?: string;
}

/**
 * Which snapshots stay: the newest three, the oldest, and of the others those that lie far apart for their age, so that
 * they get sparser the older they are. Age is counted in changes: clocks jump.
 *
 * @param numbers descending
 */
export function thinned(numbers: readonly number[], most: number): Set<number> {
  const kept = [...numbers];
  while (kept.length > most) {
    let worst = kept.length - 1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 3; i < kept.length - 1; i++) {
      const [before, after] = [itemAt(kept, i - 1), itemAt(kept, i + 1)];
      const share = (before - after) / (itemAt(kept, 0) - after);
      if (share < least) [worst, least] = [i, share];
    }
    kept.splice(worst, 1);
  }
  return new Set(kept);
}

/** Each change is a file to open when the work is restored. */
const MAX_ENTRIES = 100;
const SNAPSHOT_BYTES = 256 * 1024;
const PAUSE_MS = 10 * 60_000;
const MOST_VERSIONS = 12;
const LEAST_VERSIONS = 4;
/** That many bytes of versions are kept of one image, if the least number of them allows. */
const VERSION_BYTES = 64 << 20;

function noticeOf({ damaged, newer }: Found): string | undefined {
  if (newer) return 'A newer version of this program saved work on this image, which cannot all be read here.';
  if (damaged.length === 0) return undefined;
  const files = damaged.length === 1 ? 'one file' : `${damaged.length} files`;
  return `Part of the autosaved work could not be read (${files}); the rest was restored.`;
}

function imageOf({ image }: SessionState): ImageInfo {
  if (!image) throw new SamError('no_image', 'No image is open: there is no session to save.');
  return image;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a?.length === b.length && a.every((value, i) => value === b[i]);
}
