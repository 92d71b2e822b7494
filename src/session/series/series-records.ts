import * as v from 'valibot';
import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';

/**
 * What a series knows of its images, in a store: one small value for each image that changed, so that a step costs the
 * same however many images there are. Where many have changed, the next opening writes them together.
 *
 *     series.json            all images, as they were then
 *     changed/<image>.json   those that changed since
 */
const WHOLE = 'series.json';
const CHANGED = 'changed/';
/** Changed images that are read one by one when the series is opened. */
const MOST_CHANGED = 64;

const imageSchema = v.object({
  state: v.picklist(['new', 'work', 'done', 'empty', 'failed']),
  objects: v.optional(v.number()),
  failure: v.optional(v.string()),
  segmented: v.optional(v.boolean()),
  /** What its results are called, once some are written: other images do not change it. */
  result: v.optional(v.string()),
});
const wholeSchema = v.object({
  version: v.literal(1),
  current: v.optional(v.string()),
  step: v.optional(v.number(), 0),
  images: v.record(v.string(), imageSchema),
});
const changeSchema = v.object({
  version: v.literal(1),
  name: v.string(),
  image: imageSchema,
  /** The image that was open then. */
  current: v.optional(v.string()),
  /** Changes are counted: the last one tells where the series stopped. */
  step: v.number(),
});

export type ImageRecord = v.InferOutput<typeof imageSchema>;

export interface OpenedRecords {
  readonly records: SeriesRecords;
  readonly images: ReadonlyMap<string, ImageRecord>;
  /** The image that was open when the series stopped. */
  readonly current?: string;
  /** Something is there and could not be read. */
  readonly damaged: boolean;
}

export class SeriesRecords {
  private constructor(
    private readonly store: Store,
    private step: number,
  ) {}

  static async open(store: Store): Promise<OpenedRecords> {
    const whole = await read(store, WHOLE, wholeSchema);
    const keys = await listKeys(store, CHANGED);
    const found = await Promise.all(keys.map((key) => read(store, key, changeSchema)));
    const changes = found.filter((change) => change !== undefined && change !== 'damaged');
    const damaged = whole === 'damaged' || found.includes('damaged');
    const known = whole === 'damaged' ? undefined : whole;
    const images = new Map(Object.entries(known?.images ?? {}));
    let { current, step = 0 } = known ?? {};
    for (const change of changes.sort((a, b) => a.step - b.step)) {
      images.set(change.name, change.image);
      if (change.step > step) ({ current, step } = change);
    }
    if (keys.length > MOST_CHANGED && !damaged) await joinAll(store, keys, { current, step, images });
    return { records: new SeriesRecords(store, step), images, damaged, ...(current !== undefined && { current }) };
  }

  /** Resolves when it is stored. */
  async set(name: string, image: ImageRecord, current: string | undefined): Promise<void> {
    this.step++;
    await this.store.set(
      `${CHANGED}${encodeURIComponent(name)}.json`,
      encode({ version: 1, name, image, current, step: this.step }),
    );
  }
}

/** Killed in between, it is done again: what changed says the same once more. */
async function joinAll(
  store: Store,
  keys: readonly string[],
  { images, ...rest }: { current?: string; step: number; images: ReadonlyMap<string, ImageRecord> },
): Promise<void> {
  try {
    await store.set(WHOLE, encode({ version: 1, ...rest, images: Object.fromEntries(images) }));
    for (const key of keys) await store.delete(key);
  } catch {
    // A store that takes nothing now; the next opening tries again.
  }
}

async function read<S extends v.GenericSchema>(
  store: Store,
  key: string,
  schema: S,
): Promise<v.InferOutput<S> | 'damaged' | undefined> {
  const bytes = await store.get(key);
  if (!bytes) return undefined;
  try {
    return v.parse(schema, JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return 'damaged';
  }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
