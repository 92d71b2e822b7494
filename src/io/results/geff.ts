import type { Dtype, LabelImage, TypedArray } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import { maskCentroid, masksFromLabels } from '../../ndimage/rle.js';
import type { PixelSize } from '../pixel-size.js';
import { longUnit } from '../pixel-size.js';
import type { Store } from '../store.js';
import { writeArray, writeGroup } from '../zarr/writer.js';
import { type Lineages, tracksOf } from './ctc.js';
import type { ObjectFacts } from './geojson.js';

/**
 * Tracks in the Graph Exchange File Format: a zarr group in which every object of every frame is a node, with the
 * properties t, y, x (centre, pixels, the middle of the first pixel is 0), track_id and, where tracks have classes, class (0:
 * none), and every step in time or from mother to daughter is a directed edge. What tracks and classes are called, comments and
 * flags are in the metadata, under `extra`. Specification: github.com/live-image-tracking-tools/geff.
 */
const GEFF_VERSION = '1.1.0';

/** An object in one frame, at its centroid. */
interface Node {
  readonly track: number;
  readonly t: number;
  readonly y: number;
  readonly x: number;
}

/** @param labels [T, H, W], the label of a track in all its frames */
export async function writeGeff(
  store: Store,
  labels: LabelImage,
  {
    lineages = [],
    pixelSize,
    objects = [],
  }: { lineages?: Lineages; pixelSize?: PixelSize; objects?: readonly ObjectFacts[] } = {},
): Promise<void> {
  const nodes: Node[] = [];
  const ofTrack = new Map<number, number[]>();
  const [frames] = threeAxes(labels.shape);
  for (let t = 0; t < frames; t++)
    for (const [track, mask] of masksFromLabels(labels, t)) {
      const [y, x] = maskCentroid(mask);
      ofTrack.set(track, [...(ofTrack.get(track) ?? []), nodes.length]);
      nodes.push({ track, t, y: y - 0.5, x: x - 0.5 });
    }
  const edges: number[] = [];
  const connect = (from: number | undefined, to: number | undefined) => {
    if (from !== undefined && to !== undefined) edges.push(from, to);
  };
  for (const own of ofTrack.values()) for (const [i, node] of own.entries()) connect(node, own[i + 1]);
  for (const { label, parent } of tracksOf(labels, lineages))
    connect(ofTrack.get(parent)?.at(-1), ofTrack.get(label)?.[0]);

  const classes = new Map(
    objects.flatMap(({ id, objectClass }) => (objectClass === undefined ? [] : [[id, objectClass]])),
  );
  await writeGroup(store, '', 3, {
    geff: { ...metadata(nodes.length, labels, classes.size > 0, pixelSize), ...extraOf(objects) },
  });
  for (const group of ['nodes', 'nodes/props', 'edges', 'edges/props']) await writeGroup(store, group, 3, {});
  const values = async (name: string, dtype: Dtype, data: TypedArray) => {
    if (name.startsWith('nodes/props/')) await writeGroup(store, name.replace(/\/values$/, ''), 3, {});
    const shape = name === 'edges/ids' ? [data.length / 2, 2] : [data.length];
    const chunks = shape.map((length) => Math.max(1, length));
    await writeArray(store, name, { version: 3, shape, chunks, dtype, compression: 'gzip' }, { data, shape });
  };
  const ofNodes = (
    name: string,
    dtype: Dtype,
    type: { from(values: number[]): TypedArray },
    value: (node: Node, k: number) => number,
  ) => values(name, dtype, type.from(nodes.map(value)));
  await ofNodes('nodes/ids', 'uint32', Uint32Array, (_, k) => k);
  await values('edges/ids', 'uint32', Uint32Array.from(edges));
  await ofNodes('nodes/props/t/values', 'int32', Int32Array, ({ t }) => t);
  await ofNodes('nodes/props/y/values', 'float64', Float64Array, ({ y }) => y);
  await ofNodes('nodes/props/x/values', 'float64', Float64Array, ({ x }) => x);
  await ofNodes('nodes/props/track_id/values', 'uint32', Uint32Array, ({ track }) => track);
  if (classes.size > 0)
    await ofNodes('nodes/props/class/values', 'uint8', Uint8Array, ({ track }) => classes.get(track) ?? 0);
}

/** By the number of the track and of the class. */
function extraOf(objects: readonly ObjectFacts[]) {
  const tracks = objects.flatMap(({ id, name, comment, flagged }) =>
    name || comment || flagged
      ? [[id, { ...(name && { name }), ...(comment && { comment }), ...(flagged && { flagged }) }]]
      : [],
  );
  const classes = objects.flatMap(({ objectClass, className }) =>
    objectClass !== undefined && className ? [[objectClass, className]] : [],
  );
  if (tracks.length + classes.length === 0) return {};
  return { extra: { tracks: Object.fromEntries(tracks), classes: Object.fromEntries(classes) } };
}

function metadata(nodes: number, { shape }: LabelImage, hasClasses: boolean, pixelSize?: PixelSize) {
  const [frames, height, width] = threeAxes(shape);
  const property = (identifier: string, dtype: Dtype) => [identifier, { identifier, dtype, varlength: false }] as const;
  const range = (length: number) => (nodes === 0 ? {} : { min: 0, max: length - 1 });
  const space = (name: 'y' | 'x', length: number) => ({
    name,
    type: 'space',
    unit: 'pixel',
    ...range(length),
    ...(pixelSize && { scale: pixelSize[name], scaled_unit: longUnit(pixelSize.unit) }),
  });
  return {
    geff_version: GEFF_VERSION,
    directed: true,
    axes: [{ name: 't', type: 'time', unit: 'frame', ...range(frames) }, space('y', height), space('x', width)],
    node_props_metadata: Object.fromEntries([
      property('t', 'int32'),
      property('y', 'float64'),
      property('x', 'float64'),
      property('track_id', 'uint32'),
      ...(hasClasses ? [property('class', 'uint8')] : []),
    ]),
    edge_props_metadata: {},
    track_node_props: { tracklet: 'track_id' },
  };
}
