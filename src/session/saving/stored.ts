import * as v from 'valibot';
import { SamError } from '../../errors.js';
import { LAYERS } from '../history.js';
import type { ImageInfo } from '../state.js';
import { applyChange, type ObjectChange, type SavedChange } from './change.js';
import { natural } from './records.js';
import { type FieldsJson, nothingSaved, parseJson, type Restored } from './saved-fields.js';
import { type Sealed, seal, statedDigest, unseal, unsealWhole } from './sealed.js';
import { importSession } from './session-file.js';

/**
 * One file of the autosave: a change (`journal/<number>`) or a whole state (`snapshots/<number>`), sealed line by line:
 *
 *     { "format": "micro-sam-autosave", "version": 2, "kind": "change" | "snapshot", "number", "previous",
 *       "writer", "time", "objects": number of object lines }
 *     { the fields and settings that changed, or all }
 *     { "layer", "id", "record" }        one line per object; null for one that is gone
 *
 * `previous` is the seal of the change before, of a snapshot that of the last change in it; null if there is none.
 * Version 1 had one seal for the whole and is still read.
 */
export interface Header {
  readonly kind: 'change' | 'snapshot';
  readonly number: number;
  readonly previous: string | null;
  /** Who wrote it: one opening of the image in one window. */
  readonly writer: string;
  /** Milliseconds since the epoch, by the clock of the writer. */
  readonly time: number;
}

const FORMAT = 'micro-sam-autosave';
const VERSION = 2;

export interface Stored {
  /** Undefined if it does not fit what is below it. */
  readonly digest?: string;
  /** Undefined if that line is damaged, and in version 1. */
  readonly header?: Header;
  /** Applied to nothing for a snapshot. Damaged objects are left out. */
  readonly change: SavedChange;
  /** What could not be read: objects, or the fields. */
  readonly damaged: number;
}

const headerSchema = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  kind: v.picklist(['change', 'snapshot']),
  number: natural,
  previous: v.nullable(v.string()),
  writer: v.string(),
  time: v.number(),
  objects: natural,
});

export function sealStored(header: Header, { fields, objects }: SavedChange): Promise<Sealed> {
  return seal([{ format: FORMAT, version: VERSION, ...header, objects: objects.length }, fields, ...objects]);
}

/** @throws SamError if nothing of it can be read; `unsupported` if a newer version wrote it */
export async function readStored(bytes: Uint8Array): Promise<Stored> {
  const old = await unsealWhole(bytes);
  if (old?.text.startsWith('{'))
    return { digest: old.digest, change: changeOfVersion1(parseJson(old.text)), damaged: 0 };
  const { digest, lines } = await unseal(bytes);
  const header = lines.find((line) => v.is(headerSchema, line));
  if (!header && lines.some((line) => v.is(v.object({ format: v.literal(FORMAT) }), line)))
    throw new SamError('unsupported', 'A newer version of this program saved this.');
  const fields = lines.find(isFields);
  const objects = lines.filter(isObjectChange);
  if (!header && !fields && objects.length === 0)
    throw new SamError('invalid_argument', 'An autosaved file cannot be read.');
  const broken = lines.filter((line) => line === undefined).length;
  const missing = header ? header.objects + 1 - objects.length - (fields ? 1 : 0) : 1;
  return {
    ...(digest === statedDigest(bytes) && { digest }),
    ...(header && { header }),
    change: { fields: fields ?? {}, objects },
    damaged: Math.max(broken, missing),
  };
}

/** The snapshot of version 1: the number of its last change, and a session file. */
export async function readSnapshotOfVersion1(
  bytes: Uint8Array,
  image: ImageInfo,
): Promise<{ number: number; state: Restored } | undefined> {
  const whole = await unsealWhole(bytes);
  if (!whole) return undefined;
  const line = whole.text.indexOf('\n');
  const number = Number(whole.text.slice(0, line));
  if (!Number.isInteger(number)) return undefined;
  const { settings, ...state } = importSession(whole.text.slice(line + 1), image);
  return { number, state: { ...nothingSaved(), ...state, settings: settings ?? {} } };
}

/**
 * The state with as much of the change as fits it.
 *
 * @returns what did not, counted, and whether that is because it reaches outside the image
 */
export function applyStored(
  state: Restored,
  { fields, objects }: SavedChange,
  image: ImageInfo,
): { state: Restored; refused: number; outside: boolean } {
  let refused = 0;
  let outside = false;
  const attempt = (change: SavedChange): boolean => {
    try {
      state = applyChange(state, change, image);
      return true;
    } catch (error) {
      outside ||= error instanceof SamError && error.code === 'signature_mismatch';
      return false;
    }
  };
  if (attempt({ fields, objects })) return { state, refused, outside };
  if (!attempt({ fields, objects: [] })) refused++;
  for (const object of objects) if (!attempt({ fields: {}, objects: [object] })) refused++;
  return { state, refused, outside };
}

function changeOfVersion1(json: unknown): SavedChange {
  const { layers = {}, ...fields } = json as { layers?: Record<string, [number, unknown][]> } & FieldsJson;
  const objects = LAYERS.flatMap((layer) => (layers[layer] ?? []).map(([id, record]) => ({ layer, id, record })));
  return { fields, objects };
}

function isFields(line: unknown): line is FieldsJson {
  return typeof line === 'object' && line !== null && !('record' in line) && !('format' in line);
}

function isObjectChange(line: unknown): line is ObjectChange {
  return typeof line === 'object' && line !== null && 'layer' in line && 'record' in line;
}
