import { SamError } from '../../errors.js';
import { hasMembers } from '../../items.js';
import type { LabelImage, Tensor, TypedArray } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import type { TaskOptions } from '../../task.js';
import { longUnit, type PixelSize } from '../pixel-size.js';
import { fourAxes, type RecordingPosition } from '../recording.js';
import { narrowLabels } from '../results/label-dtype.js';
import type { Store } from '../store.js';
import { deleteAll } from '../stores/prefix.js';
import { parseJson, stringifyAsRead } from './json.js';
import { writeArray, writeGroup } from './writer.js';

/**
 * Labels as an OME-Zarr label image with a pyramid: version 0.4 (zarr v2) or 0.5 (zarr v3), gzip. Coarser levels take
 * the nearest label, never a mean. Written at the root of a store of its own, or below `labels/` of an image
 * (`addLabelsToImage`).
 */
export interface OmeZarrOptions extends TaskOptions {
  readonly version?: '0.4' | '0.5';
  readonly name?: string;
  readonly pixelSize?: PixelSize;
  readonly stack?: 'z' | 't';
  /** Of a part of a recording: it gets both axes, and where it begins along them. */
  readonly position?: RecordingPosition;
  /** The labels are a whole recording: so many volumes, one after the other. */
  readonly times?: number;
}

/** Writes the labels as a multiscale image at `path` of the store, '' for its root. */
export async function writeOmeZarrLabels(
  store: Store,
  path: string,
  labels: LabelImage,
  options: OmeZarrOptions = {},
): Promise<void> {
  const { version = '0.5', name = 'labels', pixelSize, stack = 'z', position, times } = options;
  const isRecording = position !== undefined || times !== undefined;
  const zarr = version === '0.5' ? 3 : 2;
  const isStack = labels.shape.length === 3;
  const axes: readonly ('t' | 'z' | 'y' | 'x')[] = isRecording
    ? ['t', 'z', 'y', 'x']
    : isStack
      ? [stack, 'y', 'x']
      : ['y', 'x'];
  const datasets: object[] = [];
  let level: Tensor = narrowLabels(labels);
  for (let i = 0; ; i++) {
    options.signal?.throwIfAborted();
    const factor = 2 ** i;
    const scales = {
      t: 1,
      z: pixelSize?.z ?? 1,
      y: (pixelSize?.y ?? 1) * factor,
      x: (pixelSize?.x ?? 1) * factor,
    };
    const shape = isRecording ? fourAxes(level.shape, stack, times) : level.shape;
    await writeArray(
      store,
      join(path, String(i)),
      {
        version: zarr,
        shape,
        chunks: shape.map((length, axis) => (axis < shape.length - 2 ? 1 : Math.min(length, CHUNK))),
        dtype: level.data instanceof Uint16Array ? 'uint16' : 'uint32',
        compression: 'gzip',
        dimensionNames: axes,
      },
      { ...level, shape },
      options,
    );
    const begins = { t: position?.t ?? 0, z: (position?.z ?? 0) * scales.z, y: 0, x: 0 };
    const translation = axes.map((axis) => begins[axis]);
    datasets.push({
      path: String(i),
      coordinateTransformations: [
        { type: 'scale', scale: axes.map((axis) => scales[axis]) },
        ...(translation.some((shift) => shift !== 0) ? [{ type: 'translation', translation }] : []),
      ],
    });
    if (Math.max(...level.shape.slice(-2)) <= SMALLEST_LEVEL) break;
    level = halved(level);
  }
  const unit = pixelSize && longUnit(pixelSize.unit);
  const multiscale = {
    name,
    axes: axes.map((axis) =>
      axis === 't' ? { name: axis, type: 'time' } : { name: axis, type: 'space', ...(unit && { unit }) },
    ),
    datasets,
    type: 'nearest',
  };
  const source = path === '' ? {} : { source: { image: '../../' } };
  await writeGroup(
    store,
    path,
    zarr,
    version === '0.5'
      ? { ome: { version, multiscales: [multiscale], 'image-label': source } }
      : { multiscales: [{ version, ...multiscale }], 'image-label': { version, ...source } },
  );
}

/**
 * Adds the labels to the OME-Zarr image at the root of a store, as `labels/<name>`, in the image's own version. Labels
 * of that name are replaced.
 *
 * @throws SamError `invalid_image` if the store holds no OME-Zarr image
 */
export async function addLabelsToImage(
  store: Store,
  labels: LabelImage,
  options: Omit<OmeZarrOptions, 'version'> & { readonly name: string },
): Promise<void> {
  const { name } = options;
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name))
    throw new SamError('invalid_argument', `"${name}" cannot name labels: use letters, digits, "_", "-" and ".".`);
  const v3 = await readJson(store, 'zarr.json');
  const v2 = v3 ? undefined : await readJson(store, '.zattrs');
  const image = asRecord(asRecord(v3?.attributes)?.ome) ?? v2;
  if (!Array.isArray(image?.multiscales))
    throw new SamError('invalid_image', `${store.name} is not an OME-Zarr image, so labels cannot be added to it.`);
  const zarr = v3 ? 3 : 2;
  await deleteAll(store, `labels/${name}/`);
  await writeOmeZarrLabels(store, `labels/${name}`, labels, { ...options, version: v3 ? '0.5' : '0.4' });

  const group = await readJson(store, v3 ? 'labels/zarr.json' : 'labels/.zattrs');
  const attributes = (v3 ? asRecord(group?.attributes) : group) ?? {};
  const ome = v3 ? (asRecord(attributes.ome) ?? {}) : attributes;
  const known = Array.isArray(ome.labels) ? ome.labels : [];
  const listed = { ...ome, labels: [...new Set([...known, name])] };
  await writeGroup(store, 'labels', zarr, v3 ? { ...attributes, ome: { version: '0.5', ...listed } } : listed);
  await dropConsolidated(store, v3);
}

const CHUNK = 1024;
const SMALLEST_LEVEL = 256;

/** A summary of all metadata that other programs put at the root would hide the new labels from them. */
async function dropConsolidated(store: Store, v3: Record<string, unknown> | undefined): Promise<void> {
  if (v3 && 'consolidated_metadata' in v3) {
    const { consolidated_metadata: _, ...rest } = v3;
    await store.set('zarr.json', new TextEncoder().encode(stringifyAsRead(rest)));
  }
  if (!v3) await store.delete('.zmetadata');
}

/** Every second pixel of every second row. */
function halved({ data, shape }: Tensor): Tensor {
  const [planes, height, width] = threeAxes(shape);
  const [h, w] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const out = new (data.constructor as new (length: number) => TypedArray)(planes * h * w);
  for (let z = 0, to = 0; z < planes; z++)
    for (let y = 0; y < h; y++) {
      const row = (z * height + 2 * y) * width;
      for (let x = 0; x < w; x++) out[to++] = data[row + 2 * x]!;
    }
  return { data: out, shape: [...shape.slice(0, -2), h, w] };
}

const join = (path: string, name: string) => (path === '' ? name : `${path}/${name}`);

const asRecord = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  hasMembers(value) && !Array.isArray(value) ? value : undefined;

async function readJson(store: Store, key: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await store.get(key);
  if (!bytes) return undefined;
  try {
    return asRecord(parseJson(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new SamError('invalid_image', `"${key}" in ${store.name} is not JSON; it may be damaged.`, { cause });
  }
}
