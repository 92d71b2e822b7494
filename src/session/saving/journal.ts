import * as v from 'valibot';
import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';
import { diff, patchState } from '../history.js';
import { NO_OBJECTS } from '../layers.js';
import type { ImageInfo, ObjectLayerName, ObjectRecord, SessionSettings, SessionState } from '../state.js';
import {
  exportSession,
  importSession,
  parseJson,
  parseWith,
  partSchemas,
  promptJson,
  recordJson,
  toRecord,
} from './session-file.js';

/**
 * One image's work in a store, so that it survives being killed at any moment: a snapshot of the whole session and,
 * after it, one small entry per change, numbered without gaps. Every value starts with a line holding the SHA-256 of the rest. Writes are
 * atomic per key (Store), so a kill loses at most the entry being written. When the entries outgrow the snapshot, a new
 * snapshot takes their place.
 *
 *     <signature>/snapshot        sequence number of the last change in it, and a session file
 *     <signature>/journal/<n>     change n
 *     <signature>/damaged/…       what could not be read back, kept for rescue
 */
export class Journal {
  private constructor(
    private readonly store: Store,
    private readonly root: string,
    private readonly image: ImageInfo,
    /** Number of the last change that is stored. */
    private sequence: number,
    private snapshotBytes: number,
    /** Size of the entries since the snapshot, those of earlier runs included. */
    private entryBytes: number,
    /** Their number. */
    private entries: number,
  ) {}

  /** Reads what is there. `restored` is for `AnnotationSession.open`; `notice` tells of damage. */
  static async open(
    store: Store,
    image: ImageInfo,
  ): Promise<{ journal: Journal; restored?: Partial<SessionState>; notice?: string }> {
    const root = encodeURIComponent(image.signature);
    const snapshotKey = `${root}/snapshot`;
    const damaged: string[] = [];
    let state: Partial<SessionState> | undefined;
    let sequence = 0;
    const bytes = await store.get(snapshotKey);
    if (bytes?.length)
      try {
        const text = await unseal(bytes);
        const line = text.indexOf('\n');
        sequence = parseWith(v.pipe(v.number(), v.integer()), parseJson(text.slice(0, line)), 'autosave snapshot');
        state = importSession(text.slice(line + 1), image);
      } catch {
        damaged.push(snapshotKey);
        sequence = 0;
      }
    const journalPrefix = `${root}/journal/`;
    const keys = await listKeys(store, journalPrefix);
    let applied = sequence;
    let highest = sequence;
    let entryBytes = 0;
    for (const key of keys) {
      const number = Number.parseInt(key.slice(journalPrefix.length), 10);
      if (!(number > sequence)) continue;
      const entry = await store.get(key);
      // Killed before anything was written: browsers make the file first. No sealed value is empty.
      if (!entry?.length) continue;
      highest = Math.max(highest, number);
      if (damaged.length === 0 && number === applied + 1)
        try {
          entryBytes += entry.length;
          const change = parseJson(await unseal(entry));
          state = applyChange(state, change, image);
          applied = number;
          continue;
        } catch (error) {
          if (error instanceof SamError && error.code === 'storage') throw error;
        }
      damaged.push(key);
    }
    for (const key of damaged) {
      const value = await store.get(key);
      if (value)
        await store.set(`${root}/damaged/${Date.now()}-${key.slice(root.length + 1).replace('/', '-')}`, value);
    }
    const journal = new Journal(store, root, image, highest, bytes?.length ?? 0, entryBytes, applied - sequence);
    // Changes after a gap would not be read again: start over from what could be read.
    if (damaged.length > 0) journal.snapshotBytes = -1;
    return {
      journal,
      ...(state && { restored: state }),
      ...(damaged.length > 0 && {
        notice: `Part of the autosaved work could not be read (${damaged.length} of ${keys.length + 1} files); the rest was restored.`,
      }),
    };
  }

  /** Stores the change between two states of this image; resolves once it is safe. */
  async append(from: SessionState, to: SessionState): Promise<void> {
    const change = changeBetween(from, to);
    if (!change) return;
    if (this.snapshotBytes < 0) return this.snapshot(to);
    const next = this.sequence + 1;
    const key = `${this.root}/journal/${String(next).padStart(9, '0')}`;
    const bytes = await seal(JSON.stringify(change));
    const present = await this.store.get(key);
    if (present?.length && !sameBytes(present, bytes))
      throw new SamError(
        'storage',
        'This image is open in another window that saves its own work. Close one of the two, or save your objects to a file.',
      );
    if (!present?.length) await this.store.set(key, bytes);
    this.sequence = next;
    this.entryBytes += bytes.length;
    this.entries++;
    const outgrown = this.entryBytes > Math.max(this.snapshotBytes, 256 * 1024);
    if (outgrown || this.entries >= MAX_ENTRIES) await this.snapshot(to);
  }

  /** Stores the whole state and removes the entries it makes superfluous. */
  async snapshot(state: SessionState): Promise<void> {
    if (state.image?.signature !== this.image.signature)
      throw new SamError('internal', 'The autosave of one image was given the state of another.');
    const bytes = await seal(`${this.sequence}\n${exportSession(state)}`);
    await this.store.set(`${this.root}/snapshot`, bytes);
    this.snapshotBytes = bytes.length;
    this.entryBytes = 0;
    this.entries = 0;
    for (const key of await listKeys(this.store, `${this.root}/journal/`))
      if (Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 10) <= this.sequence) await this.store.delete(key);
  }
}

/** Each is a file to open when the work is restored. */
const MAX_ENTRIES = 500;

const changeSchema = v.object({
  layers: v.partial(
    v.object({
      current_object: v.array(v.tuple([v.number(), v.nullable(partSchemas.record)])),
      auto_segmentation: v.array(v.tuple([v.number(), v.nullable(partSchemas.record)])),
      committed_objects: v.array(v.tuple([v.number(), v.nullable(partSchemas.record)])),
    }),
  ),
  prompts: v.optional(partSchemas.prompts),
  lineages: v.optional(partSchemas.lineages),
  currentLineages: v.optional(partSchemas.lineages),
  currentTrack: v.optional(partSchemas.track),
  plane: v.optional(partSchemas.plane),
  settings: v.optional(partSchemas.settings),
  editing: v.optional(v.nullable(v.number())),
});

function changeBetween(from: SessionState, to: SessionState): v.InferInput<typeof changeSchema> | undefined {
  const patch = diff(from, to, Object.keys(to.settings) as (keyof SessionSettings)[]);
  const position = {
    ...(from.plane !== to.plane && { plane: to.plane }),
    ...(from.currentTrack !== to.currentTrack && { currentTrack: to.currentTrack }),
  };
  if (!patch) return Object.keys(position).length > 0 ? { layers: {}, ...position } : undefined;
  const { fields } = patch;
  return {
    layers: Object.fromEntries(
      Object.entries(patch.layers).map(([name, objects]) => [
        name,
        [...objects].map(([id, record]) => [id, record ? recordJson(record) : null]),
      ]),
    ),
    ...(fields.prompts && { prompts: fields.prompts.map(promptJson) as never }),
    ...(fields.lineages && { lineages: fields.lineages as never }),
    ...(fields.currentLineages && { currentLineages: fields.currentLineages as never }),
    ...('editing' in fields && { editing: fields.editing ?? null }),
    ...position,
    settings: patch.settings,
  };
}

function applyChange(state: Partial<SessionState> | undefined, json: unknown, image: ImageInfo): Partial<SessionState> {
  const change = parseWith(changeSchema, json, 'autosave journal');
  const layers: Partial<Record<ObjectLayerName, Map<number, ObjectRecord | undefined>>> = {};
  for (const [name, objects] of Object.entries(change.layers) as [
    ObjectLayerName,
    (typeof change.layers)['current_object'],
  ][])
    layers[name] = new Map((objects ?? []).map(([id, record]) => [id, record ? toRecord(record, image) : undefined]));
  const { prompts, lineages, currentLineages, currentTrack, editing, plane, settings = {} } = change;
  const base: SessionState = {
    plane: 0,
    prompts: [],
    lineages: [],
    currentLineages: [],
    currentTrack: 1,
    history: {},
    tasks: [],
    ...state,
    settings: (state?.settings ?? {}) as SessionSettings,
    layers: state?.layers ?? NO_OBJECTS,
  };
  const fields = {
    ...(prompts && { prompts }),
    ...(lineages && { lineages }),
    ...(currentLineages && { currentLineages }),
  };
  const { editing: old, ...next } = patchState(base, { layers, fields, settings });
  const edited = editing === undefined ? old : (editing ?? undefined);
  return {
    ...next,
    ...(plane !== undefined && { plane }),
    ...(currentTrack !== undefined && { currentTrack }),
    ...(edited !== undefined && { editing: edited }),
  };
}

async function seal(text: string): Promise<Uint8Array> {
  const body = new TextEncoder().encode(text);
  const head = new TextEncoder().encode(`${await digest(body)}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

async function unseal(bytes: Uint8Array): Promise<string> {
  const line = bytes.indexOf(10);
  const body = bytes.slice(line + 1);
  if (line !== 64 || new TextDecoder().decode(bytes.subarray(0, line)) !== (await digest(body)))
    throw new SamError('invalid_argument', 'An autosaved value does not match its checksum.');
  return new TextDecoder().decode(body);
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
