import * as v from 'valibot';
import type { AnnotationSession } from '../session/session.js';
import { method } from './call.js';

/** Objects corrected as a whole, over RPC: in any layer and in all planes, each call one step of undo. */
const number = v.pipe(v.number(), v.finite());
const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const yx = v.tuple([number, number], 'expected [y, x]');
const layer = v.optional(v.picklist(['current_object', 'auto_segmentation', 'committed_objects']), 'committed_objects');
const ids = v.pipe(v.array(natural), v.minLength(1, 'the list is empty'));
const pixels = v.optional(v.pipe(number, v.minValue(0.5), v.maxValue(100)));

const schemas = {
  select: v.strictObject({ ids: v.array(natural), layer }),
  several: v.strictObject({ ids: v.pipe(ids, v.minLength(2, 'expected two or more ids')), layer }),
  reshape: v.strictObject({ ids, layer }),
  resize: v.strictObject({ ids, pixels, layer }),
  describe: v.strictObject({
    ids,
    layer,
    name: v.optional(v.nullable(v.string())),
    object_class: v.optional(v.nullable(v.pipe(natural, v.minValue(1), v.maxValue(9)))),
    comment: v.optional(v.nullable(v.string())),
    flagged: v.optional(v.boolean()),
  }),
  split: v.strictObject({
    id: natural,
    line: v.optional(v.pipe(v.array(yx), v.minLength(2, 'a line has two positions or more'))),
    points: v.optional(v.pipe(v.array(yx), v.minLength(2, 'two points or more are needed'))),
    plane: v.optional(natural),
    layer,
  }),
};

export function editFunctions(session: AnnotationSession) {
  return {
    select_objects: method('select_objects', ['ids'], schemas.select, (set) => session.run('select_objects', set)),
    /** What is given is set, null takes it away; saved and exported with the objects. Classes are 1 to 9. */
    describe_objects: method(
      'describe_objects',
      ['ids'],
      schemas.describe,
      ({ ids, layer, object_class: objectClass, ...facts }) =>
        session.run('describe_objects', { facts: { ...facts, objectClass }, objects: { layer, ids } }),
    ),
    /** The merged object has the lowest of the ids. */
    merge_objects: method('merge_objects', ['ids'], schemas.several, (objects) =>
      session.run('merge_objects', { objects }),
    ),
    /** Along `line`, through all planes, or between `points` of one `plane` (default: the visible one). Returns the ids of the parts. */
    split_object: method('split_object', ['id'], schemas.split, async ({ id, line, points, plane, layer }) => {
      const objects = { layer, ids: [id] };
      const places = (points ?? []).map((at) => ({ plane: plane ?? session.shown.plane, at }));
      await session.run('split_object', line ? { objects, path: line } : { objects, places });
      return [...(session.state.selected?.ids ?? [])];
    }),
    fill_object_holes: method('fill_object_holes', ['ids'], schemas.reshape, (objects) =>
      session.run('fill_holes', { objects }),
    ),
    smooth_objects: method('smooth_objects', ['ids'], schemas.reshape, (objects) =>
      session.run('smooth_objects', { objects }),
    ),
    /** By `pixels` all around (default 1); committed objects stop at their neighbours. */
    grow_objects: method('grow_objects', ['ids', 'pixels'], schemas.resize, ({ pixels, ...objects }) =>
      session.run('grow_objects', { objects, pixels }),
    ),
    shrink_objects: method('shrink_objects', ['ids', 'pixels'], schemas.resize, ({ pixels, ...objects }) =>
      session.run('shrink_objects', { objects, pixels }),
    ),
  };
}
