import * as v from 'valibot';
import { SamError } from '../../errors.js';
import { layerOf } from '../layers.js';
import type { ImageInfo, ObjectLayerName, SessionState } from '../state.js';
import { natural, recordJson, recordSchema, toRecord } from './records.js';
import {
  fieldSchemas,
  fieldsFromJson,
  fieldsJson,
  nothingSaved,
  parseJson,
  parseWith,
  restorable,
} from './saved-fields.js';

/**
 * A session as JSON: what was done to one image, without its pixels.
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

export const imageSchema = v.object({
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
  ...fieldSchemas,
  layers: v.object({
    current_object: v.array(recordSchema),
    auto_segmentation: v.array(recordSchema),
    committed_objects: v.array(recordSchema),
  }),
});

/** The session as JSON text. */
export function exportSession(state: SessionState): string {
  if (!state.image) throw new SamError('no_image', 'No image is open: there is no session to save.');
  return JSON.stringify({
    format: FORMAT,
    version: VERSION,
    image: state.image,
    ...fieldsJson(state),
    layers: Object.fromEntries(
      Object.entries(state.layers).map(([name, layer]) => [name, [...layer.objects.values()].map(recordJson)]),
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
  const [was, is] = [session.image, image].map(({ planes, size }) => [planes, ...size].join(' x '));
  if (was !== is)
    throw new SamError(
      'signature_mismatch',
      `The session was made on "${session.image.name}" of ${was} pixels; "${image.name}" has ${is}. Open that image.`,
    );
  const layer = (name: ObjectLayerName) => layerOf(session.layers[name].map((record) => toRecord(record, image)));
  const layers = {
    current_object: layer('current_object'),
    auto_segmentation: layer('auto_segmentation'),
    committed_objects: layer('committed_objects'),
  };
  return restorable({ ...nothingSaved(), ...fieldsFromJson(session, image), layers });
}
