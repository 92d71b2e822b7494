import * as v from 'valibot';
import { SamError } from '../../errors.js';
import type { Mask } from '../../ndimage/mask.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { PROJECTION_NAMES } from '../../segmentation/volume/projection.js';
import { checkPrompt } from '../edits/prompt-rules.js';
import { layerOf } from '../layers.js';
import { type ImageInfo, type ObjectRecord, type SessionState, TOOLS } from '../state.js';

/**
 * A session as JSON: what was done to one image, without its pixels. Masks are run lengths (ndimage/mask.ts) per plane,
 * coordinates (y, x) in pixels.
 *
 *     { "format": "micro-sam-session", "version": 1,
 *       "image": { "name", "axes", "size": [height, width], "planes", "signature" },
 *       "plane", "settings": { … }, "prompts": [ … ], "lineages": [ … ], "editing": id,
 *       "currentLineages": [ … ], "currentTrack": id,
 *       "layers": { "committed_objects": [ { "id", "origin", "predictedIou", "stability", "prompts": [ … ],
 *                                            "masks": [ { "plane", "box": [y0, x0, y1, x1], "runs": [ … ] } ] } ],
 *                   "current_object": [ … ], "auto_segmentation": [ … ] } }
 *
 * Readers refuse a higher version; fields they do not know are left out. Offered masks (candidates) and undo history
 * are not kept.
 */
export const FORMAT = 'micro-sam-session';
export const VERSION = 1;

const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
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

const promptSchema = v.variant('kind', [
  v.object({ kind: v.literal('point'), ...promptBase, at: yx, positive: v.boolean() }),
  v.object({ kind: v.literal('box'), ...promptBase, box: yxyx }),
  v.object({ kind: v.picklist(['polygon', 'ellipse']), ...promptBase, ring: v.array(yx) }),
  v.object({ kind: v.literal('mask'), ...promptBase, mask: maskSchema }),
]);

const recordSchema = v.object({
  id: v.pipe(natural, v.minValue(1)),
  origin: v.picklist(['interactive', 'automatic', 'painted', 'loaded']),
  predictedIou: v.optional(v.number()),
  stability: v.optional(v.number()),
  prompts: v.array(promptSchema),
  projected: v.optional(v.array(natural)),
  trackEnd: v.optional(v.object({ reason: v.picklist(['division', 'lost', 'end']), frame: natural })),
  masks: v.array(v.intersect([maskSchema, v.object({ plane: natural })])),
});

const settingsSchema = v.partial(
  v.object({
    positive: v.boolean(),
    tool: v.picklist(TOOLS),
    brushSize: v.number(),
    batched: v.boolean(),
    preserveMode: v.picklist(['objects', 'pixels', 'none']),
    preservationThreshold: v.number(),
    hoverPreview: v.boolean(),
    autoSegment: v.boolean(),
    annotator: v.picklist(['auto', '2d', '3d', 'tracking']),
    projection: v.picklist(['auto', ...PROJECTION_NAMES]),
    iouThreshold: v.number(),
    boxExtension: v.number(),
    motionSmoothing: v.number(),
    trackDirection: v.picklist(['forward', 'backward', 'both']),
    trackState: v.picklist(['track', 'division']),
    applyToVolume: v.boolean(),
    automatic: v.object({
      pointsPerSide: v.optional(v.pipe(natural, v.minValue(1))),
      thresholds: v.partial(
        v.object({
          predIouThresh: v.number(),
          stabilityScoreThresh: v.number(),
          boxNmsThresh: v.number(),
          minObjectSize: v.number(),
          maxObjectSize: v.number(),
        }),
      ),
    }),
    gapClosing: natural,
    minExtent: natural,
    minOverlap: v.number(),
  }),
);

const lineageSchema = v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.array(natural));

/** Shared by whole sessions and the autosave journal's changes. */
export const partSchemas = {
  prompts: v.array(promptSchema),
  lineages: v.array(lineageSchema),
  track: v.pipe(natural, v.minValue(1)),
  plane: natural,
  settings: settingsSchema,
  record: recordSchema,
};

const imageSchema = v.object({
  name: v.string(),
  axes: v.picklist(['yx', 'zyx', 'tyx', 'tzyx']),
  size: v.tuple([natural, natural]),
  planes: natural,
  signature: v.string(),
});

const sessionSchema = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  image: imageSchema,
  plane: natural,
  settings: settingsSchema,
  prompts: partSchemas.prompts,
  lineages: partSchemas.lineages,
  currentLineages: v.optional(partSchemas.lineages),
  currentTrack: v.optional(partSchemas.track),
  editing: v.optional(natural),
  layers: v.object({
    current_object: v.array(recordSchema),
    auto_segmentation: v.array(recordSchema),
    committed_objects: v.array(recordSchema),
  }),
});

/** The session as JSON text. */
export function exportSession(state: SessionState): string {
  if (!state.image) throw new SamError('no_image', 'No image is open: there is no session to save.');
  const { image, plane, settings, prompts, lineages, currentLineages, currentTrack, editing, layers } = state;
  return JSON.stringify({
    format: FORMAT,
    version: VERSION,
    image,
    plane,
    settings,
    prompts: prompts.map(promptJson),
    lineages,
    ...(currentLineages.length > 0 && { currentLineages }),
    ...(currentTrack !== 1 && { currentTrack }),
    editing,
    layers: Object.fromEntries(
      Object.entries(layers).map(([name, layer]) => [name, [...layer.objects.values()].map(recordJson)]),
    ),
  });
}

/**
 * What `AnnotationSession.open` takes as `restored`.
 *
 * @param image the image that is open: the session must belong to the same pixels
 */
export function importSession(text: string, image: ImageInfo): Partial<SessionState> {
  const json = parseJson(text);
  const { version } = v.is(v.object({ format: v.literal(FORMAT), version: v.number() }), json) ? json : {};
  if (version !== undefined && version > VERSION)
    throw new SamError(
      'unsupported',
      `The session has format version ${version}; this program reads up to ${VERSION}.`,
    );
  const session = parseWith(sessionSchema, json, 'session file');
  if (session.image.signature !== image.signature)
    throw new SamError(
      'signature_mismatch',
      `The session was made on "${session.image.name}", whose pixels differ from those of "${image.name}". Open that image.`,
    );
  const layers = Object.fromEntries(
    Object.entries(session.layers).map(([name, records]) => [name, layerOf(records.map((r) => toRecord(r, image)))]),
  ) as unknown as SessionState['layers'];
  const { editing } = session;
  return {
    plane: Math.min(session.plane, image.planes - 1),
    settings: session.settings as SessionState['settings'],
    prompts: session.prompts.map((prompt) => checkPrompt(prompt, image)),
    lineages: session.lineages,
    currentLineages: session.currentLineages ?? [],
    currentTrack: session.currentTrack ?? 1,
    ...(editing !== undefined && layers.committed_objects.objects.has(editing) && { editing }),
    layers,
  };
}

export function promptJson(prompt: Prompt): unknown {
  return prompt.kind === 'mask' ? { ...prompt, mask: maskJson(prompt.mask) } : prompt;
}

export function recordJson(record: ObjectRecord): unknown {
  const { id, origin, predictedIou, stability, prompts, projected, trackEnd } = record;
  return {
    id,
    origin,
    predictedIou,
    stability,
    prompts: prompts.map(promptJson),
    ...(projected && projected.size > 0 && { projected: [...projected] }),
    trackEnd,
    masks: [...record.masks].map(([plane, mask]) => ({ plane, ...maskJson(mask) })),
  };
}

export function toRecord(json: v.InferOutput<typeof recordSchema>, image: ImageInfo): ObjectRecord {
  const masks = new Map(
    json.masks.map(({ plane, box, runs, area }) => {
      if (plane >= image.planes || box[0] < 0 || box[2] > image.size[0] || box[3] > image.size[1])
        throw new SamError('signature_mismatch', `Object ${json.id} reaches outside the image ${image.name}.`);
      return [plane, { box, runs, area }] as const;
    }),
  );
  const { projected, ...record } = json;
  return { ...record, masks, ...(projected && { projected: new Set(projected) }) };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SamError('invalid_argument', 'The session file is not JSON: it may be cut off.', { cause });
  }
}

export function parseWith<S extends v.GenericSchema>(schema: S, json: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new SamError(
    'invalid_argument',
    `The ${what} is damaged at ${v.getDotPath(issue) ?? 'the top'}: ${issue.message}.`,
  );
}

function maskJson(mask: Mask) {
  return { box: mask.box, runs: [...mask.runs] };
}

function foreground(runs: readonly number[]): number {
  let area = 0;
  for (let i = 1; i < runs.length; i += 2) area += runs[i];
  return area;
}
