import * as v from 'valibot';
import { SamError } from '../../errors.js';
import type { Mask } from '../../ndimage/mask.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { ImageInfo, ObjectRecord } from '../state.js';

/**
 * Masks, prompts and objects as JSON. A mask is its box [y0, x0, y1, x1] and run lengths that fill it, background first
 * (ndimage/mask.ts); coordinates are (y, x) in pixels.
 */
export const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
export const positive = v.pipe(natural, v.minValue(1));
const yx = v.tuple([v.number(), v.number()]);
const yxyx = v.tuple([v.number(), v.number(), v.number(), v.number()]);

const maskSchema = v.pipe(
  v.object({ box: v.tuple([v.pipe(v.number(), v.integer()), natural, natural, natural]), runs: v.array(natural) }),
  v.check(({ box: [y0, x0, y1, x1], runs }) => {
    const pixels = runs.reduce((sum, run) => sum + run, 0);
    return y0 <= y1 && x0 <= x1 && pixels === (y1 - y0) * (x1 - x0);
  }, 'the run lengths of a mask do not fill its box'),
  v.transform(({ box, runs }): Mask => ({ box, runs: Uint32Array.from(runs), area: foreground(runs) })),
);

const promptBase = {
  id: v.string(),
  plane: natural,
  track: v.optional(v.object({ id: natural, state: v.picklist(['track', 'division']) })),
};

export const promptSchema = v.variant('kind', [
  v.object({ kind: v.literal('point'), ...promptBase, at: yx, positive: v.boolean() }),
  v.object({ kind: v.literal('box'), ...promptBase, box: yxyx }),
  v.object({ kind: v.picklist(['polygon', 'ellipse']), ...promptBase, ring: v.array(yx) }),
  v.object({ kind: v.literal('mask'), ...promptBase, mask: maskSchema }),
]);

/** One entry per field of an object: a forgotten one does not compile, and one that is optional may be absent in old files. */
const recordFields = {
  id: positive,
  name: v.optional(v.string()),
  objectClass: v.optional(positive),
  comment: v.optional(v.string()),
  flagged: v.optional(v.boolean()),
  origin: v.picklist(['interactive', 'automatic', 'painted', 'loaded']),
  predictedIou: v.optional(v.number()),
  stability: v.optional(v.number()),
  prompts: v.array(promptSchema),
  projected: v.optional(v.array(natural)),
  corrected: v.optional(v.array(v.intersect([maskSchema, v.object({ plane: natural, projected: v.boolean() })]))),
  trackEnd: v.optional(v.object({ reason: v.picklist(['division', 'lost', 'end']), frame: natural })),
  masks: v.array(v.intersect([maskSchema, v.object({ plane: natural })])),
} satisfies Record<keyof ObjectRecord, v.GenericSchema<unknown, unknown>>;

export const recordSchema = v.object(recordFields);

export function promptJson(prompt: Prompt): unknown {
  return prompt.kind === 'mask' ? { ...prompt, mask: maskJson(prompt.mask) } : prompt;
}

export function recordJson({ masks, prompts, projected, corrected, ...facts }: ObjectRecord): unknown {
  return {
    ...facts,
    prompts: prompts.map(promptJson),
    ...(projected && projected.size > 0 && { projected: [...projected] }),
    ...(corrected &&
      corrected.size > 0 && {
        corrected: [...corrected].map(([plane, { mask, projected }]) => ({ plane, projected, ...maskJson(mask) })),
      }),
    masks: [...masks].map(([plane, mask]) => ({ plane, ...maskJson(mask) })),
  };
}

/** @throws SamError `signature_mismatch` for an object that reaches outside the image */
export function toRecord(json: v.InferOutput<typeof recordSchema>, image: ImageInfo): ObjectRecord {
  const checked = <M extends { plane: number; box: Mask['box'] }>(mask: M): M => {
    const { plane, box } = mask;
    if (plane < image.planes && box[0] >= 0 && box[2] <= image.size[0] && box[3] <= image.size[1]) return mask;
    throw new SamError('signature_mismatch', `Object ${json.id} reaches outside the image ${image.name}.`);
  };
  const masks = new Map(json.masks.map(checked).map(({ plane, box, runs, area }) => [plane, { box, runs, area }]));
  const before = json.corrected
    ?.map(checked)
    .map(({ plane, projected, box, runs, area }) => [plane, { mask: { box, runs, area }, projected }] as const);
  const { projected, corrected: _, ...record } = json;
  return {
    ...record,
    masks,
    ...(projected && { projected: new Set(projected) }),
    ...(before && { corrected: new Map(before) }),
  };
}

function maskJson({ box, runs }: Mask) {
  return { box, runs: [...runs] };
}

function foreground(runs: readonly number[]): number {
  return runs.reduce((area, run, i) => (i % 2 === 1 ? area + run : area), 0);
}
