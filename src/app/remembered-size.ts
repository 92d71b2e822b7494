import * as v from 'valibot';
import type { Store } from '../io/store.js';
import { isNewer, versionOf } from '../io/versions.js';
import type { EncodingChange } from '../service/engine.js';

/**
 * Tiles, object size and pixel size as somebody set them for an image, kept in a store under the image's signature: they hold again
 * when it is reopened. What cannot be read or written is forgotten; nobody's work depends on it. What a newer program has
 * written stays as it is, and does not hold here.
 */
export type SizeSettings = Pick<EncodingChange, 'tiling' | 'objectDiameter' | 'pixelSize'>;

const VERSION = 1;

const length = v.pipe(v.number(), v.integer(), v.minValue(0));
const extent = v.pipe(v.number(), v.finite(), v.gtValue(0));
const Sides = v.tuple([length, length]);
const Settings = v.object({
  tiling: v.optional(v.union([v.literal('none'), v.object({ tileShape: Sides, halo: Sides })])),
  objectDiameter: v.optional(v.pipe(v.number(), v.minValue(1))),
  pixelSize: v.optional(v.object({ z: v.optional(extent), y: extent, x: extent, unit: v.string() })),
});

export async function recallSize(store: Store, signature: string): Promise<SizeSettings> {
  const bytes = await store.get(keyOf(signature)).catch(() => undefined);
  if (!bytes) return {};
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return versionOf(json) > VERSION ? {} : v.parse(Settings, json);
  } catch {
    return {};
  }
}

/** What is automatic is not kept. */
export async function rememberSize(
  store: Store,
  signature: string,
  { tiling, objectDiameter, pixelSize }: SizeSettings,
): Promise<void> {
  const key = keyOf(signature);
  if (await isNewer(store, key, VERSION)) return;
  const set = {
    tiling: tiling ?? undefined,
    objectDiameter: objectDiameter ?? undefined,
    pixelSize: pixelSize ?? undefined,
  };
  const isAutomatic = Object.values(set).every((value) => value === undefined);
  const write = isAutomatic
    ? store.delete(key)
    : store.set(key, new TextEncoder().encode(JSON.stringify({ version: VERSION, ...set })));
  await write.catch(() => undefined);
}

const keyOf = (signature: string) => `${signature.replaceAll(/[^\w-]/g, '-')}.json`;
