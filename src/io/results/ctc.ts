import { SamError } from '../../errors.js';
import { itemAt, present } from '../../items.js';
import type { LabelImage } from '../../ndimage/array.js';
import { maxLabel, threeAxes } from '../../ndimage/label.js';
import type { TaskOptions } from '../../task.js';
import { memoryBytes } from '../bytes.js';
import type { PixelSize } from '../pixel-size.js';
import { asImageErrors } from '../region.js';
import type { NamedBytes } from '../stores/zip.js';
import { openTiff } from '../tiff/tiff.js';
import { encodeTiff } from '../tiff/writer.js';

/**
 * Tracks in the result format of the Cell Tracking Challenge: `maskTTT.tif`, 16-bit, one per frame, and `res_track.txt`
 * with a line "label begin end parent" per track (celltrackingchallenge.net). Ground truth (`man_trackTTT.tif`,
 * `man_track.txt`), which micro-sam writes too, is read as well.
 */
export interface Track {
  readonly label: number;
  /** First and last frame. */
  readonly begin: number;
  readonly end: number;
  /** Label of the track it came from by division, 0 if none. */
  readonly parent: number;
}

/** Parent → daughters, as micro-sam keeps lineages. */
export type Lineages = readonly Readonly<Record<number, readonly number[]>>[];

/** @param labels [T, H, W], the label of a track in all its frames */
export async function labelsToCtc(
  labels: LabelImage,
  { lineages = [], pixelSize, ...task }: { lineages?: Lineages; pixelSize?: PixelSize } & TaskOptions = {},
): Promise<NamedBytes[]> {
  if (labels.shape.length !== 3)
    throw new SamError(
      'unsupported',
      `Cell Tracking Challenge files need a time series, got labels of [${labels.shape}].`,
    );
  const highest = maxLabel(labels);
  if (highest > 0xffff)
    throw new SamError(
      'unsupported',
      `Cell Tracking Challenge files hold labels up to 65,535 and the highest is ${highest}.`,
    );
  const [frames, height, width] = threeAxes(labels.shape);
  const digits = Math.max(3, String(frames - 1).length);
  const files: NamedBytes[] = [];
  for (let frame = 0; frame < frames; frame++) {
    task.signal?.throwIfAborted();
    const data = Uint16Array.from(labels.data.subarray(frame * height * width, (frame + 1) * height * width));
    const bytes = await encodeTiff({ data, shape: [height, width] }, { pixelSize, description: 'none' });
    files.push({ name: `mask${String(frame).padStart(digits, '0')}.tif`, bytes });
    task.onProgress?.({ done: frame + 1, total: frames, message: `Writing frame ${frame + 1} of ${frames}` });
  }
  const lines = tracksOf(labels, lineages).map(
    ({ label, begin, end, parent }) => `${label} ${begin} ${end} ${parent}\n`,
  );
  files.push({ name: 'res_track.txt', bytes: new TextEncoder().encode(lines.join('')) });
  return files;
}

/** The tracks of labels [T, H, W], by label. A parent that is nowhere in the labels, or not earlier, is left out. */
export function tracksOf(labels: LabelImage, lineages: Lineages = []): Track[] {
  const [frames, height, width] = threeAxes(labels.shape);
  const spans = new Map<number, [begin: number, end: number]>();
  for (let frame = 0; frame < frames; frame++) {
    const seen = new Set(labels.data.subarray(frame * height * width, (frame + 1) * height * width));
    seen.delete(0);
    for (const label of seen) spans.set(label, [spans.get(label)?.[0] ?? frame, frame]);
  }
  const parents = new Map(
    lineages.flatMap((lineage) =>
      Object.entries(lineage).flatMap(([parent, daughters]) =>
        daughters.map((daughter) => [daughter, Number(parent)] as const),
      ),
    ),
  );
  return [...spans]
    .sort(([a], [b]) => a - b)
    .map(([label, [begin, end]]) => {
      const parent = parents.get(label) ?? 0;
      const before = spans.get(parent);
      return { label, begin, end, parent: before && before[1] < begin ? parent : 0 };
    });
}

export interface CtcTracks {
  /** [T, H, W]. */
  readonly labels: LabelImage;
  readonly tracks: readonly Track[];
}

/** Reads a result (`mask*.tif`, `res_track.txt`) or ground truth (`man_track*.tif`, `man_track.txt`), given as files. */
export async function readCtc(files: readonly NamedBytes[], { signal }: TaskOptions = {}): Promise<CtcTracks> {
  const named = files.map(({ name, bytes }) => ({ name: present(name.split('/').pop(), 'the name of a file'), bytes }));
  const table = named.find(({ name }) => /^(res|man)_track\.txt$/.test(name));
  const frames = named
    .flatMap(({ name, bytes }) => {
      const number = /^(?:mask|man_track)(\d+)\.tiff?$/i.exec(name)?.[1];
      return number === undefined ? [] : [{ name, bytes, frame: Number(number) }];
    })
    .sort((a, b) => a.frame - b.frame);
  if (!table || frames.length === 0)
    throw new SamError(
      'invalid_image',
      'Not a Cell Tracking Challenge folder: expected mask000.tif … and res_track.txt (or man_track…).',
    );
  const planes: { name: string; data: Uint32Array; height: number; width: number }[] = [];
  for (const { name, bytes } of frames) {
    signal?.throwIfAborted();
    const source = await asImageErrors(name, () => openTiff(memoryBytes(bytes, name)));
    const { data } = await source.readRegion({ channels: [0] });
    planes.push({ name, data: Uint32Array.from(data), height: source.sizes.y, width: source.sizes.x });
  }
  const { height, width } = itemAt(planes, 0);
  const odd = planes.find((plane) => plane.height !== height || plane.width !== width);
  if (odd)
    throw new SamError(
      'invalid_image',
      `${odd.name} is ${odd.height} x ${odd.width} px, the first frame ${height} x ${width}.`,
    );
  const data = new Uint32Array(planes.length * height * width);
  planes.forEach((plane, i) => {
    data.set(plane.data, i * height * width);
  });
  return {
    labels: { data, shape: [planes.length, height, width] },
    tracks: parseTracks(new TextDecoder().decode(table.bytes)),
  };
}

/** @throws SamError `invalid_image` naming the line that is not four whole numbers */
export function parseTracks(text: string): Track[] {
  const tracks: Track[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '') return;
    const numbers = line.trim().split(/\s+/).map(Number);
    const [label, begin, end, parent] = numbers.filter((value) => Number.isInteger(value) && value >= 0);
    if (label === undefined || begin === undefined || end === undefined || parent === undefined || numbers.length !== 4)
      throw new SamError(
        'invalid_image',
        `Line ${i + 1} of the track table is "${line}"; expected "label begin end parent".`,
      );
    tracks.push({ label, begin, end, parent });
  });
  return tracks;
}

/** Lineages of a track table: one record per family, parent → daughters, tracks without daughters included. */
export function tracksToLineages(tracks: readonly Track[]): Lineages {
  const family = new Map<number, Record<number, number[]>>();
  const lineages: Record<number, number[]>[] = [];
  for (const { label, parent } of [...tracks].sort((a, b) => a.begin - b.begin)) {
    let record = family.get(parent);
    const daughters = record?.[parent];
    if (parent === 0 || !record || !daughters) {
      record = {};
      lineages.push(record);
    } else daughters.push(label);
    record[label] = [];
    family.set(label, record);
  }
  return lineages;
}
