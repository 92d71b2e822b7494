import * as v from 'valibot';
import { itemAt } from '../items.js';
import { AUTOMATIC_MODES } from '../segmentation/automatic-settings.js';
import { SEARCH_ARGUMENTS, THRESHOLD_ARGUMENTS } from './automatic.js';
import { halo, tileShape } from './engine.js';
import { imageOrHandleSchema, imageSchema } from './image.js';
import { STREAM_ARGUMENTS, TASK_ARGUMENTS } from './running-calls.js';
import { labelsSchema, rows, yx, yxyx } from './schemas.js';

/** What the functions without an annotator (headless.ts) take. */
const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const number = v.pipe(v.number(), v.finite());

/** Which image, and how it goes to the model. */
const IMAGE_ARGUMENTS = {
  model_type: v.optional(v.string()),
  tile_shape: v.optional(tileShape),
  halo: v.optional(halo),
  object_diameter: v.optional(v.pipe(number, v.minValue(1))),
  embedding_path: v.optional(v.pipe(v.string(), v.nonEmpty())),
  name: v.optional(v.string()),
  axes: v.optional(v.string()),
  key: v.optional(v.string()),
  series: v.optional(natural),
};
const PROMPT_ARGUMENTS = {
  image: imageOrHandleSchema,
  plane: v.optional(natural),
  multimask_output: v.optional(v.boolean()),
  ...IMAGE_ARGUMENTS,
  ...TASK_ARGUMENTS,
};
const box = v.pipe(
  rows(yxyx, '[y0, x0, y1, x1]', true),
  v.transform((found) => itemAt(found, 0)),
);
const flag = v.optional(v.boolean());

export const schemas = {
  precompute: v.strictObject({
    image: v.optional(imageSchema),
    planes: v.optional(v.pipe(v.array(natural), v.minLength(1))),
    ...IMAGE_ARGUMENTS,
    ...STREAM_ARGUMENTS,
  }),
  points: v.strictObject({ ...PROMPT_ARGUMENTS, points: rows(yx, '[y, x]'), labels: v.optional(labelsSchema) }),
  box: v.strictObject({
    ...PROMPT_ARGUMENTS,
    box,
    box_extension: v.optional(v.pipe(number, v.minValue(0))),
  }),
  boxAndPoints: v.strictObject({
    ...PROMPT_ARGUMENTS,
    box,
    points: rows(yx, '[y, x]'),
    labels: v.optional(labelsSchema),
  }),
  mask: v.strictObject({
    ...PROMPT_ARGUMENTS,
    mask: imageSchema,
    use_box: flag,
    use_mask: flag,
    use_points: flag,
    use_single_point: flag,
    box_extension: v.optional(v.pipe(number, v.minValue(0))),
  }),
  automatic: v.strictObject({
    image: imageOrHandleSchema,
    mode: v.optional(v.picklist(['auto', ...AUTOMATIC_MODES])),
    ndim: v.optional(v.picklist([2, 3], 'ndim is 2 (each plane by itself) or 3 (objects go through the planes)')),
    points_per_side: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(128))),
    gap_closing: v.optional(natural),
    min_z_extent: v.optional(natural),
    ...THRESHOLD_ARGUMENTS,
    ...SEARCH_ARGUMENTS,
    ...IMAGE_ARGUMENTS,
    ...STREAM_ARGUMENTS,
  }),
  evaluate: v.strictObject({ labels: imageSchema, predictions: imageSchema, ...TASK_ARGUMENTS }),
};

export type ImageArguments = v.InferOutput<ReturnType<typeof v.strictObject<typeof IMAGE_ARGUMENTS, undefined>>>;
export type PromptArguments = v.InferOutput<ReturnType<typeof v.strictObject<typeof PROMPT_ARGUMENTS, undefined>>>;
