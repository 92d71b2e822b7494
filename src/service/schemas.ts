import * as v from 'valibot';
import { EXPORT_FORMATS } from '../io/results/export-formats.js';
import { fromRpcArray, isArrayLike } from '../io/rpc-array.js';
import { TOOLS } from '../session/state.js';
import { halo, tileShape } from './engine.js';
import { imageSchema, tensorSchema } from './image.js';
import { TASK_ARGUMENTS } from './running-calls.js';
import { stackSettingsSchema } from './stack.js';

/** What the functions of the service take; one schema a function. Coordinates are (y, x) in pixels. */

const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const number = v.pipe(v.number(), v.finite());

export const yx = v.tuple([number, number]);
export const yxyx = v.tuple([number, number, number, number]);

/**
 * Lists of numbers, as nested lists or as an array of two axes.
 *
 * @param row what one of them is
 * @param single one row is asked for, which may also come by itself
 */
export function rows<Row extends typeof yx | typeof yxyx>(row: Row, what: string, single = false) {
  return v.pipe(
    v.any(),
    v.transform((value) => (isArrayLike(value) ? toRows(value) : value)),
    v.transform((value) => (single && Array.isArray(value) && typeof value[0] === 'number' ? [value] : value)),
    v.array(
      v.pipe(v.array(number, `expected ${what}`), v.length(row.items.length, `expected ${what}`), row),
      single ? `expected ${what}` : `expected a list of ${what}`,
    ),
    v.minLength(1, 'the list is empty'),
    v.maxLength(single ? 1 : 10_000, single ? `expected one ${what}` : 'at most 10,000 at once'),
  );
}

/** Of an array of one axis its numbers, which may be one row. */
function toRows(value: unknown): number[][] | number[] {
  const { data, shape } = fromRpcArray(value);
  const [count, width] = shape;
  if (count === undefined) return [];
  if (width === undefined) return [...data];
  return Array.from({ length: count }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);
}

const list = v.pipe(
  v.any(),
  v.transform((value) => (isArrayLike(value) ? [...fromRpcArray(value).data] : value)),
);

/** Of points: 1 or true inside of the object, 0 or false outside. */
export const labelsSchema = v.pipe(
  list,
  v.array(
    v.union([v.picklist([0, 1]), v.boolean()], 'a label is 1 (positive) or 0 (negative)'),
    'expected a list of labels, 1 (positive) or 0 (negative)',
  ),
);

const plane = v.optional(natural);
/** Where the prompts of a time series belong: to which track, and whether it divides there. */
const placed = {
  plane,
  track_id: v.optional(v.pipe(natural, v.minValue(1))),
  state: v.optional(v.picklist(['track', 'division'])),
};
const layer = v.picklist(['current_object', 'auto_segmentation', 'committed_objects']);
const sourceLayer = v.picklist(['current_object', 'auto_segmentation']);
const preserve_mode = v.optional(v.picklist(['objects', 'pixels', 'none']));
const preservation_threshold = v.optional(v.pipe(number, v.minValue(0), v.maxValue(1)));

const OPENED = {
  image: imageSchema,
  name: v.optional(v.string()),
  axes: v.optional(v.string()),
  key: v.optional(v.string()),
  series: v.optional(natural),
};

export const schemas = {
  none: v.strictObject({}),
  long: v.strictObject(TASK_ARGUMENTS),
  open_image: v.strictObject(OPENED),
  annotator: v.strictObject({
    ...OPENED,
    model_type: v.optional(v.string()),
    segmentation_result: v.optional(imageSchema),
    tile_shape: v.optional(tileShape),
    halo: v.optional(halo),
  }),
  settings: v.strictObject({
    positive: v.optional(v.boolean()),
    tool: v.optional(v.picklist(TOOLS)),
    brush_size: v.optional(number),
    batched: v.optional(v.boolean()),
    auto_commit: v.optional(v.boolean()),
    preserve_mode,
    preservation_threshold,
    class_names: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(9))),
    hover_preview: v.optional(v.boolean()),
    auto_segment: v.optional(v.boolean()),
    ...stackSettingsSchema,
  }),
  add_point_prompts: v.strictObject({
    points: rows(yx, '[y, x]'),
    labels: v.optional(labelsSchema),
    ...placed,
  }),
  add_box_prompts: v.strictObject({ boxes: rows(yxyx, '[y0, x0, y1, x1]'), ...placed }),
  add_ellipse_prompts: v.strictObject({
    boxes: rows(yxyx, '[y0, x0, y1, x1]'),
    labels: v.optional(labelsSchema),
    ...placed,
  }),
  add_polygon_prompts: v.strictObject({
    polygons: v.pipe(v.array(rows(yx, '[y, x]')), v.minLength(1, 'the list is empty')),
    labels: v.optional(labelsSchema),
    ...placed,
  }),
  add_scribble_prompts: v.strictObject({
    paths: v.pipe(v.array(rows(yx, '[y, x]')), v.minLength(1, 'the list is empty')),
    labels: v.optional(labelsSchema),
    ...placed,
  }),
  remove_prompts: v.strictObject({ ids: v.pipe(v.array(v.string()), v.minLength(1)) }),
  segment_object: v.strictObject({ batched: v.optional(v.boolean()), ...TASK_ARGUMENTS }),
  choose_candidate: v.strictObject({ index: natural }),
  commit: v.strictObject({ layer: v.optional(sourceLayer), preserve_mode, preservation_threshold }),
  clear_annotations: v.strictObject({ all_slices: v.optional(v.boolean()) }),
  pick_object: v.strictObject({
    id: natural,
    layer: v.optional(v.picklist(['committed_objects', 'auto_segmentation'])),
  }),
  delete_object: v.strictObject({ id: natural, layer: v.optional(layer) }),
  paint: v.strictObject({
    path: rows(yx, '[y, x]'),
    tool: v.optional(v.picklist(['brush', 'eraser', 'fill'])),
    radius: v.optional(number),
    layer: v.optional(layer),
    id: v.optional(natural),
  }),
  set_recording_view: v.strictObject({
    as: v.picklist(['volume', 'slice', 'projection']),
    at: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  }),
  set_plane: v.strictObject({ plane: natural }),
  get_layer: v.strictObject({
    name: v.optional(layer),
    as: v.optional(v.picklist(['labels', 'polygons', 'rle'])),
    plane,
  }),
  set_committed_objects: v.strictObject({ labels: tensorSchema }),
  export: v.strictObject({
    format: v.picklist(EXPORT_FORMATS),
    layer: v.optional(layer),
    all_times: v.optional(v.boolean()),
  }),
  import_session: v.strictObject({ session: v.string() }),
  cancel: v.strictObject({
    task: v.optional(v.union([v.string(), v.pipe(v.number(), v.integer())], 'expected the id or the name of a task')),
  }),
  off: v.strictObject({ subscription: v.string() }),
} as const;
