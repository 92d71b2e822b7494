import { decode } from 'fast-png';
import { fromArrayBuffer } from 'geotiff';
import * as zarr from 'zarrita';
import { exportLabels } from '../../src/io/results/export.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { NamedBytes } from '../../src/io/stores/zip.js';
import { zarritaStore } from '../../src/io/zarr/zarrita-store.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { maxLabel } from '../../src/ndimage/label.js';
import { cocoToLabels } from '../support/coco-reader.js';
import { featuresOf, paintedByDefinition } from '../support/geojson-reader.js';
import { randomLabels } from '../support/labels.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { atMost, type Figure, reported } from './figure.js';

/** 1,000 random label images through every writer that keeps pixels; TIFF, PNG and zarr are read back by other libraries. */
const READERS: Readonly<Record<string, (files: NamedBytes[], shape: readonly number[]) => Promise<ArrayLike<number>>>> =
  {
    tiff: readTiff,
    'ome-tiff': readTiff,
    png: async ([{ bytes }]) => decode(bytes).data,
    'ome-zarr': readZarr,
    'ome-zarr-0.4': readZarr,
    geojson: async ([{ bytes }], shape) => paintedByDefinition(featuresOf(new TextDecoder().decode(bytes)), shape).data,
    coco: async ([{ bytes }], shape) => cocoToLabels(new TextDecoder().decode(bytes), shape).data,
  };

export default async function run(): Promise<Figure[]> {
  const count = Number(process.env.ROUNDTRIPS ?? 1000);
  const random = seededRandom(2024);
  let differences = 0;
  let roundTrips = 0;
  for (let i = 0; i < count; i++) {
    const labels = anyLabels(random);
    const holdsPng = labels.shape.length === 2 && maxLabel(labels) <= 0xffff;
    for (const [format, read] of Object.entries(READERS)) {
      if (format === 'png' && !holdsPng) continue;
      const files = await exportLabels(format as keyof typeof READERS & 'tiff', { labels, name: 'labels' });
      const values = await read(files, labels.shape);
      roundTrips++;
      if (values.length !== labels.data.length || labels.data.some((value, p) => values[p] !== value)) differences++;
    }
  }
  return [
    atMost('roundtrip_differences', differences, 'images', 0),
    reported('roundtrip_images', count, 'images'),
    reported('roundtrip_files', roundTrips, 'files'),
  ];
}

function anyLabels(random: () => number): LabelImage {
  const side = () => randomInteger(random, 1, 48);
  const shape = random() < 0.3 ? [randomInteger(random, 1, 5), side(), side()] : [side(), side()];
  const highest = [3, 255, 65_535, 65_536, 2 ** 32 - 1][randomInteger(random, 0, 5)];
  return randomLabels(random, shape, randomInteger(random, 0, 9), highest);
}

async function readTiff([{ bytes }]: NamedBytes[]): Promise<number[]> {
  const file = await fromArrayBuffer(bytes.slice().buffer);
  const values: number[] = [];
  for (let page = 0; page < (await file.getImageCount()); page++)
    for (const value of (await (
      await file.getImage(page)
    ).readRasters({ interleave: true })) as unknown as Iterable<number>)
      values.push(value);
  return values;
}

async function readZarr(files: NamedBytes[]): Promise<ArrayLike<number>> {
  const store = memoryStore(
    'zarr',
    files.map(({ name, bytes }) => [name.slice(name.indexOf('/') + 1), bytes] as const),
  );
  const array = await zarr.open(zarr.root(zarritaStore(store)).resolve('0'), { kind: 'array' });
  return (await zarr.get(array as zarr.Array<'uint32', zarr.Readable>)).data;
}
