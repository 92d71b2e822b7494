import { SamError } from '../../errors.js';
import { present } from '../../items.js';
import type { LabelImage } from '../../ndimage/array.js';
import { maxLabel, threeAxes } from '../../ndimage/label.js';
import type { TaskOptions } from '../../task.js';
import { stemOf } from '../folder/file-names.js';
import { safeName } from '../folder/result-names.js';
import type { PixelSize } from '../pixel-size.js';
import { fourAxes, type RecordingPosition } from '../recording.js';
import type { Store } from '../store.js';
import { memoryStore } from '../stores/memory.js';
import { listKeys } from '../stores/prefix.js';
import { type NamedBytes, zipFiles } from '../stores/zip.js';
import { encodeTiff } from '../tiff/writer.js';
import { writeOmeZarrLabels } from '../zarr/ome-zarr-writer.js';
import { labelsToCoco } from './coco.js';
import { labelsToCsv, type MeasuredImage } from './csv.js';
import { type Lineages, labelsToCtc } from './ctc.js';
import { EXPORT_FORMATS, type ExportFormat } from './export-formats.js';
import { writeGeff } from './geff.js';
import { labelsToGeoJson, type ObjectFacts } from './geojson.js';
import { labelsToRoiZip } from './imagej-roi.js';
import { narrowLabels } from './label-dtype.js';
import { napariTracks, tracksCsv } from './napari-tracks.js';
import { encodeLabelPng } from './png-writer.js';

/** Objects → files of a format other programs read. */
export interface LabelExport {
  /** [H, W] or [Z, H, W]. */
  readonly labels: LabelImage;
  /** Of the image. */
  readonly name: string;
  /** What the files are called, before what their format adds; the name without its extension if absent. */
  readonly stem?: string;
  /** Whether the planes of a stack are depths (default) or times. */
  readonly stack?: 'z' | 't';
  /** Of a part of a recording with time and depth: where it lies in it, and what tells its files from those of other parts. */
  readonly position?: RecordingPosition;
  readonly part?: string;
  readonly objects?: readonly ObjectFacts[];
  readonly pixelSize?: PixelSize;
  /** For intensity statistics in the CSV. */
  readonly image?: MeasuredImage;
  /** Parent track → daughters, of a time series. */
  readonly lineages?: Lineages;
}

type Writer = (input: LabelExport, stem: string, task: TaskOptions) => Promise<NamedBytes[]>;

const WRITERS: Readonly<Record<Exclude<ExportFormat, 'zip'>, Writer>> = {
  tiff: async (input, stem, task) => [{ name: `${stem}_labels.tif`, bytes: await labelTiff(input, 'imagej', task) }],
  'ome-tiff': async (input, stem, task) => [
    { name: `${stem}_labels.ome.tif`, bytes: await labelTiff(input, 'ome', task) },
  ],
  png: async ({ labels, pixelSize }, stem) =>
    planesOf(labels).map((plane, i, planes) => ({
      name: planes.length === 1 ? `${stem}_labels.png` : `${stem}_labels_${String(i).padStart(4, '0')}.png`,
      bytes: encodeLabelPng(plane, { pixelSize }),
    })),
  geojson: async (input, stem) => [text(`${stem}.geojson`, labelsToGeoJson(input.labels, input))],
  coco: async (input, stem) => [text(`${stem}_coco.json`, labelsToCoco(input.labels, input))],
  'imagej-roi': async ({ labels }, stem) => [{ name: `${stem}_rois.zip`, bytes: await labelsToRoiZip(labels) }],
  csv: async (input, stem) => [text(`${stem}_objects.csv`, await labelsToCsv(input.labels, input))],
  'ome-zarr': (input, stem, task) => omeZarr(input, `${stem}_labels.ome.zarr`, '0.5', task),
  'ome-zarr-0.4': (input, stem, task) => omeZarr(input, `${stem}_labels_v04.ome.zarr`, '0.4', task),
  ctc: async ({ labels, stack, ...input }, stem, task) => {
    if (stack !== 't')
      throw new SamError('unsupported', 'Cell Tracking Challenge files need a time series, and this is not one.');
    const files = await labelsToCtc(labels, { ...task, lineages: input.lineages, pixelSize: input.pixelSize });
    return files.map(({ name, bytes }) => ({ name: `${stem}_RES/${name}`, bytes }));
  },
  'napari-tracks': async ({ labels, stack, lineages }, stem) => {
    if (stack !== 't' || labels.shape.length !== 3)
      throw new SamError('unsupported', 'Tracks need a time series, and this is not one.');
    const tracks = napariTracks(labels, lineages);
    return [text(`${stem}_tracks.csv`, tracksCsv(tracks)), text(`${stem}_graph.json`, JSON.stringify(tracks.graph))];
  },
  geff: async ({ labels, stack, ...input }, stem) => {
    if (stack !== 't' || labels.shape.length !== 3)
      throw new SamError('unsupported', 'Tracks need a time series, and this is not one.');
    const store = memoryStore();
    await writeGeff(store, labels, input);
    return filesOf(store, `${stem}_tracks.geff`);
  },
};

/**
 * The files of one format. Most are one file; PNG of a stack is one per plane, OME-Zarr, CTC and GEFF are a folder, with names
 * like 'cells_labels.ome.zarr/0/c/0/0'. 'zip' is one archive of all formats that
 * can hold these labels.
 *
 * @throws SamError `unsupported` if the format cannot hold the labels (more than 65,535 in a PNG)
 */
export async function exportLabels(
  format: ExportFormat,
  input: LabelExport,
  task: TaskOptions = {},
): Promise<NamedBytes[]> {
  const { shape } = input.labels;
  if (shape.length < 2 || shape.length > 3 || shape.some((length) => length < 1))
    throw new SamError('invalid_argument', `Labels are [height, width] or [planes, height, width], got [${shape}].`);
  const whole = input.stem ?? stemOf(input.name);
  const stem = safeName(input.part === undefined ? whole : `${whole}_${input.part}`);
  if (format === 'zip') return [{ name: `${stem}_export.zip`, bytes: await everything(input, stem, task) }];
  if (!Object.hasOwn(WRITERS, format))
    throw new SamError(
      'invalid_argument',
      `There is no export format "${format}"; choose ${EXPORT_FORMATS.join(', ')}.`,
    );
  return WRITERS[format](input, stem, task);
}

async function everything(input: LabelExport, stem: string, task: TaskOptions): Promise<Uint8Array> {
  const files: NamedBytes[] = [];
  for (const writer of Object.values(WRITERS) as Writer[]) {
    task.signal?.throwIfAborted();
    try {
      files.push(...(await writer(input, stem, task)));
    } catch (error) {
      // A format that cannot hold these labels is left out of the collection.
      if (!(error instanceof SamError && error.code === 'unsupported')) throw error;
    }
  }
  return zipFiles(files);
}

function labelTiff(
  { labels, pixelSize, stack = 'z', position }: LabelExport,
  description: 'imagej' | 'ome',
  task: TaskOptions,
): Promise<Uint8Array> {
  const axes = position ? 'tzyx' : labels.shape.length === 2 ? 'yx' : `${stack}yx`;
  const narrow = narrowLabels(labels);
  const shape = position ? fourAxes(narrow.shape, stack) : narrow.shape;
  return encodeTiff(
    { ...narrow, shape },
    {
      ...task,
      axes,
      description,
      pixelSize,
      name: 'labels',
      range: [0, Math.max(1, maxLabel(labels))],
    },
  );
}

async function omeZarr(
  input: LabelExport,
  folder: string,
  version: '0.4' | '0.5',
  task: TaskOptions,
): Promise<NamedBytes[]> {
  const { labels, pixelSize, stack, position } = input;
  const store = memoryStore();
  await writeOmeZarrLabels(store, '', labels, { ...task, version, pixelSize, stack, position });
  return filesOf(store, folder);
}

/** What is in a store, as files of a folder. */
export async function filesOf(store: Store, folder: string): Promise<NamedBytes[]> {
  const keys = await listKeys(store);
  return Promise.all(
    keys.map(async (key) => ({ name: `${folder}/${key}`, bytes: present(await store.get(key), 'a listed file') })),
  );
}

function planesOf({ data, shape }: LabelImage): LabelImage[] {
  const [planes, height, width] = threeAxes(shape);
  return Array.from({ length: planes }, (_, i) => ({
    data: data.slice(i * height * width, (i + 1) * height * width),
    shape: [height, width],
  }));
}

const text = (name: string, content: string): NamedBytes => ({ name, bytes: new TextEncoder().encode(content) });
