import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Dataset, type Group, File as Hdf5Writer, ready } from 'h5wasm/node';
import { SamError } from '../../src/errors.js';
import { memoryBytes } from '../../src/io/bytes.js';
import type { ImageSource } from '../../src/io/image.js';
import { guessAxes } from '../../src/io/ndarray.js';
import { type ImageInput, openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { randomInteger, seededRandom } from './random.js';
import { buildTiff, type Page, short, text } from './tiff-builder.js';

/**
 * Files by grammar, seeded: text that says what pixels mean (OME-XML, ilastik's axistags, attributes of zarr and Imaris),
 * right, contradicted by the pixels, or broken, over pixels that are known. What is opened must have the right value at
 * every place; what is not must fail with a SamError.
 */
export const GRAMMARS = ['ome-xml', 'axistags', 'attributes'] as const;
export type Grammar = (typeof GRAMMARS)[number];

interface Place {
  readonly t: number;
  readonly z: number;
  readonly c: number;
  readonly y: number;
  readonly x: number;
}

interface Sentence {
  readonly input: ImageInput;
  /** The text, for messages. */
  readonly text: string;
  /** Sizes and values that it has to have if it opens; undefined where anything may be read. */
  readonly expected?: { readonly sizes: Place; readonly value: (place: Place) => number };
  /** It must not open. */
  readonly refused?: boolean;
}

type Random = () => number;

export interface GrammarResult {
  readonly files: number;
  readonly failures: readonly string[];
  readonly outcomes: ReadonlyMap<string, number>;
}

export async function fuzzGrammar(grammar: Grammar, count: number, seed: number): Promise<GrammarResult> {
  await ready;
  const random = seededRandom(seed);
  const failures: string[] = [];
  const outcomes = new Map<string, number>();
  const folder = mkdtempSync(path.join(tmpdir(), 'fuzz-'));
  const write = hdf5Writer(folder);
  try {
    for (let i = 0; i < count; i++) {
      const sentence = sentenceOf(grammar, random, write);
      const outcome = await outcomeOf(sentence);
      const kind = outcome.startsWith('wrong') ? 'wrong' : outcome;
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      if (kind === 'wrong' && failures.length < 20)
        failures.push(`${grammar} ${seed}/${i}: ${outcome}\n${sentence.text.slice(0, 2000)}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { files: count, failures, outcomes };
}

function sentenceOf(grammar: Grammar, random: Random, write: WriteHdf5): Sentence {
  if (grammar === 'ome-xml') return omeXml(random);
  if (grammar === 'axistags') return axisTags(random, write);
  return random() < 0.7 ? zarrAttributes(random) : imarisAttributes(random, write);
}

async function outcomeOf({ input, expected, refused }: Sentence): Promise<string> {
  let image: ImageSource;
  try {
    image = await openImage(input, { name: 'fuzz' });
    const read = expected && (await difference(image, expected));
    await image.close();
    if (read !== undefined) return `wrong: ${read}`;
  } catch (error) {
    if (error instanceof SamError && error.code !== 'internal')
      return expected ? `wrong: ${error.message}` : error.code;
    return `wrong: ${error instanceof Error ? error.stack : error}`;
  }
  return refused ? 'wrong: it was opened' : 'read';
}

/** What is not as expected, if anything. */
async function difference(image: ImageSource, { sizes, value }: NonNullable<Sentence['expected']>) {
  for (const axis of ['t', 'z', 'c', 'y', 'x'] as const)
    if (image.sizes[axis] !== sizes[axis]) return `${image.sizes[axis]} along ${axis} where ${sizes[axis]} belong`;
  for (let t = 0; t < sizes.t; t++)
    for (let z = 0; z < sizes.z; z++) {
      const { data } = await image.readRegion({ t, z });
      let i = 0;
      for (let y = 0; y < sizes.y; y++)
        for (let x = 0; x < sizes.x; x++)
          for (let c = 0; c < sizes.c; c++, i++)
            if (data[i] !== value({ t, z, c, y, x })) return `${data[i]} at t${t} z${z} c${c} y${y} x${x}`;
    }
  return undefined;
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[randomInteger(random, 0, choices.length)];
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomInteger(random, 0, i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** Some signs of a text changed, taken out or put in. */
function garbled(random: Random, original: string): string {
  let text = original;
  for (let n = randomInteger(random, 1, 5); n > 0; n--) {
    const at = randomInteger(random, 0, text.length);
    const sign = pick(random, ['<', '>', '"', '/', '=', '{', ']', ',', '-', '9', 'e', 'NaN', 'null', '\ufffd', '']);
    text = text.slice(0, at) + sign + text.slice(at + randomInteger(random, 0, 3));
  }
  return text;
}

/** OME-XML over pages of one value each: page p has p + 1, or 10 (p + 1) + sample where there are samples. */
function omeXml(random: Random): Sentence {
  const samples = pick(random, [1, 1, 1, 3]);
  const stated = { t: randomInteger(random, 1, 4), z: randomInteger(random, 1, 4), c: randomInteger(random, 1, 4) };
  const { t, z, c } = stated;
  const total = t * z * c;
  const order = shuffled(random, ['t', 'z', 'c'] as const);
  const pages = Math.max(1, total + pick(random, [0, 0, 0, -1, -2, -total + 1, 1, 3]));
  const [height, width] = pick(random, [
    [3, 4],
    [3, 4],
    [3, 4],
    [30, 40],
  ]);
  const numberOf = (at: { t: number; z: number; c: number }) =>
    order.reduceRight((sum, axis) => sum * stated[axis] + at[axis], 0);
  const places = Array.from({ length: total }, (_, i) => ({
    t: Math.floor(i / z / c),
    z: Math.floor(i / c) % z,
    c: i % c,
  }));
  const pageOf = new Map<number, number>();
  const key = (at: { t: number; z: number; c: number }) => (at.t * z + at.z) * c + at.c;
  let data = '';
  const style = pick(random, ['whole', 'whole', 'counted', 'each', 'each', 'some']);
  if (style === 'whole' || style === 'counted') {
    data =
      style === 'whole'
        ? pick(random, ['<TiffData/>', ''])
        : `<TiffData IFD="0" ${pick(random, ['PlaneCount', 'NumPlanes'])}="${total}"/>`;
    for (const at of places) pageOf.set(key(at), numberOf(at));
  } else {
    const listed = style === 'each' ? places : places.filter(() => random() < 0.6);
    const numbers = shuffled(random, [...Array(total).keys()]);
    for (const at of shuffled(random, listed)) {
      const page = numbers[key(at)];
      pageOf.set(key(at), page);
      data += `<TiffData FirstT="${at.t}" FirstZ="${at.z}" FirstC="${at.c * samples}" IFD="${page}"${pick(random, ['', ' PlaneCount="1"'])}/>`;
    }
  }
  const channels = Array.from(
    { length: pick(random, [0, 1, c, c * samples]) },
    (_, i) =>
      `<Channel ID="Channel:0:${i}"${pick(random, ['', ' SamplesPerPixel="1"', ` SamplesPerPixel="${samples}"`, ' Name="a&amp;b" Color="-1"'])}/>`,
  ).join('');
  const sizesText = shuffled(random, [
    `SizeX="${width}"`,
    `SizeY="${height}"`,
    `SizeT="${t}"`,
    `SizeZ="${z}"`,
    `SizeC="${c * samples}"`,
    `DimensionOrder="XY${order.join('').toUpperCase()}"`,
    'Type="uint8"',
    ...pick(random, [
      [],
      ['PhysicalSizeX="NaN"'],
      ['PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZUnit="&#181;m"'],
    ]),
  ]).join(pick(random, [' ', '\n  ']));
  const prefix = pick(random, ['', '', 'ome:']);
  const right = `<?xml version="1.0"?><${prefix}OME xmlns="x"><${prefix}Image ID="Image:0"><${prefix}Pixels ${sizesText}>${channels}${data}</${prefix}Pixels></${prefix}Image></${prefix}OME>`;
  const isRight = random() < 0.8;
  const xml = isRight ? right : garbled(random, right);
  const bits = short(258, ...Array.from({ length: samples }, () => 8));
  const value = (page: number, sample: number) => (samples === 1 ? page + 1 : ((page + 1) * 7 + sample) % 251);
  const tiff = Array.from(
    { length: pages },
    (_, page): Page => ({
      width: 4,
      height: 3,
      blocks: [Uint8Array.from({ length: 12 * samples }, (_, i) => value(page, i % samples))],
      tags: [bits, short(262, samples === 3 ? 2 : 1), short(277, samples), ...(page === 0 ? [text(270, xml)] : [])],
    }),
  );
  const input = memoryBytes(buildTiff(tiff), 'fuzz.ome.tif');
  // A file without any page that is named has its pages as they are.
  const named = [...pageOf.values()].some((page) => page < pages);
  if (!isRight || !named) return { input, text: xml };
  return {
    input,
    text: `${pages} pages: ${xml}`,
    expected: {
      sizes: { t, z, c: c * samples, y: 3, x: 4 },
      value(at) {
        const page = pageOf.get(key({ ...at, c: Math.floor(at.c / samples) }));
        return page === undefined || page >= pages ? 0 : value(page, at.c % samples);
      },
    },
  };
}

type WriteHdf5 = (write: (file: Hdf5Writer) => void) => Uint8Array;

function hdf5Writer(folder: string): WriteHdf5 {
  const file = path.join(folder, 'a.h5');
  return (write) => {
    const writer = new Hdf5Writer(file, 'w');
    write(writer);
    writer.close();
    return new Uint8Array(readFileSync(file));
  };
}

/** Values counting up in C order over axes of any order. */
function counted(letters: string, shape: readonly number[]): NonNullable<Sentence['expected']> {
  const axes = letters.replace('s', 'c');
  const length = (axis: string) => (axes.includes(axis) ? shape[axes.indexOf(axis)] : 1);
  return {
    sizes: { t: length('t'), z: length('z'), c: length('c'), y: length('y'), x: length('x') },
    value: (at) => [...axes].reduce((sum, axis, i) => sum * shape[i] + at[axis as keyof Place], 0),
  };
}

function axisTags(random: Random, write: WriteHdf5): Sentence {
  const rank = randomInteger(random, 2, 6);
  const right = shuffled(random, [...'tczyx']).slice(0, rank);
  const shape = right.map(() => randomInteger(random, 1, 5));
  const keys = pick(random, [
    right,
    right,
    right,
    right.slice(1),
    [...right, 'z'],
    right.map((letter, i) => (i === 0 ? right[rank - 1] : letter)),
    right.map((letter, i) => (i === 0 ? pick(random, ['n', 'e', 'fx', '', ' ', 'T']) : letter)),
  ]);
  const axes = keys.map((key) => ({ key, ...pick(random, [{}, { typeFlags: 2, resolution: 0, description: 'é"' }]) }));
  const whole = JSON.stringify(pick(random, [{ axes }, { axes }, { axes }, { axes: null }, axes, { axes: keys }]));
  const tags = random() < 0.85 ? whole : garbled(random, whole);
  const chunked = random() < 0.5;
  const bytes = write((file) => {
    const count = shape.reduce((product, length) => product * length, 1);
    const dataset = file.create_dataset({
      name: 'data',
      data: Uint16Array.from({ length: count }, (_, i) => i),
      shape,
      ...(chunked && { chunks: shape.map((length) => Math.min(2, length)) }),
    }) as Dataset;
    dataset.create_attribute('axistags', tags);
  });
  return {
    input: memoryBytes(bytes, 'fuzz.h5'),
    text: `[${shape}] ${tags}`,
    expected: counted(axesSaid(tags, shape), shape),
  };
}

/** What the tags say, read in another way than the reader does; where they say nothing of this shape, what it suggests. */
function axesSaid(tags: string, shape: readonly number[]): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(tags);
  } catch {
    return guessAxes(shape, 'fuzz');
  }
  const list = (parsed as { axes?: unknown } | null)?.axes;
  const keys = Array.isArray(list) ? list.map((axis) => axis?.key) : [];
  const letters = keys.map((key) => (typeof key === 'string' ? key.trim().toLowerCase() : '?')).join('');
  const fits = keys.length === shape.length && letters.length === keys.length && new Set(letters).size === keys.length;
  return fits && /^[tczyx]+$/.test(letters) ? letters : guessAxes(shape, 'fuzz');
}

/** Attributes of an OME-Zarr 0.4 or 0.5 of one level, as Python may write them. */
function zarrAttributes(random: Random): Sentence {
  const version = pick(random, [2, 3]);
  const rank = randomInteger(random, 2, 6);
  const right = shuffled(random, [...'tczyx']).slice(0, rank);
  const shape = right.map(() => randomInteger(random, 1, 5));
  const odd = () =>
    pick(random, ['NaN', 'Infinity', '-Infinity', 'null', '1e999', '"NaN"', '0.25', '-1', '{}', '[NaN]', '"é\\u0000"']);
  const names = pick(random, [right, right, right, right.slice(1), right.map(() => 'y'), [...right.slice(1), 'q']]);
  const axes = names.map(
    (name) => `{"name":"${name}"${pick(random, ['', ',"unit":"micrometer"', `,"x":${odd()}`, ',"type":null'])}}`,
  );
  const scale = `{"type":"scale","scale":[${right.map(() => pick(random, ['1.0', '0.5', odd()])).join()}]}`;
  const transformations = pick(random, [`[${scale}]`, `[${scale}]`, 'null', '[]']);
  const hasAxes = random() < 0.9;
  const multiscales = `[{"version":"0.4","name":${odd()},${hasAxes ? `"axes":[${axes}],` : ''}"datasets":[{"path":"0","coordinateTransformations":${transformations}}]}]`;
  const omero = `{"channels":[{"label":${odd()},"color":${odd()},"window":{"start":${odd()},"end":${odd()}}},${odd()}]}`;
  const ome = `"multiscales":${multiscales},"omero":${omero},"extra":${odd()}`;
  const whole =
    version === 2 ? `{${ome}}` : `{"zarr_format":3,"node_type":"group","attributes":{"ome":{"version":"0.5",${ome}}}}`;
  const isRight = random() < 0.85;
  const attributes = isRight ? whole : garbled(random, whole);
  const encode = (value: string) => new TextEncoder().encode(value);
  const count = shape.reduce((product, length) => product * length, 1);
  const values = new Uint8Array(Uint16Array.from({ length: count }, (_, i) => i).buffer);
  const zeros = shape.map(() => 0);
  const entries =
    version === 2
      ? new Map([
          ['.zgroup', encode('{"zarr_format":2}')],
          ['.zattrs', encode(attributes)],
          ['0/.zattrs', encode(`{"x":${odd()}}`)],
          [
            '0/.zarray',
            encode(
              JSON.stringify({
                zarr_format: 2,
                shape,
                chunks: shape,
                dtype: '<u2',
                compressor: null,
                fill_value: 0,
                order: 'C',
                filters: null,
              }),
            ),
          ],
          [`0/${zeros.join(pick(random, ['.', '/']))}`, values],
        ])
      : new Map([
          ['zarr.json', encode(attributes)],
          [
            '0/zarr.json',
            encode(
              JSON.stringify({
                zarr_format: 3,
                node_type: 'array',
                shape,
                data_type: 'uint16',
                chunk_grid: { name: 'regular', configuration: { chunk_shape: shape } },
                chunk_key_encoding: { name: 'default' },
                fill_value: 0,
                codecs: [{ name: 'bytes', configuration: { endian: 'little' } }],
                attributes: {},
              }),
            ),
          ],
          [`0/c/${zeros.join('/')}`, values],
        ]);
  const input = memoryStore('fuzz.zarr', entries);
  if (!isRight) return { input, text: attributes };
  // Since 0.3 the axes have names; before, they are the last of t, c, z, y, x. Where there are too few or too many of them,
  // the shape tells, with a word.
  const named = names.length === rank ? names.join('') : guessAxes(shape, 'fuzz');
  const letters = hasAxes ? named : 'tczyx'.slice(-rank);
  const valid = letters.length === rank && new Set(letters).size === rank && !letters.includes('q');
  return valid
    ? { input, text: attributes, expected: counted(letters, shape) }
    : { input, text: attributes, refused: true };
}

/** Sizes of an Imaris file as text, right or not: its datasets of 4 x 8 x 8 hold 65,535 beyond 3 x 5 x 7. */
function imarisAttributes(random: Random, write: WriteHdf5): Sentence {
  const actual = { Z: 4, Y: 8, X: 8 } as const;
  const said = Object.fromEntries(
    Object.keys(actual).map((axis) => [
      axis,
      pick(random, ['3', '5', '1', '8', '80', '0', '-1', 'NaN', '', ' 4 ', '2.5', 'x', '9'.repeat(30)]),
    ]),
  ) as Record<keyof typeof actual, string>;
  const size = (axis: keyof typeof actual) => {
    const value = said[axis].trim() === '' ? 0 : Number(said[axis]);
    return Number.isSafeInteger(value) && value > 0 ? Math.min(value, actual[axis]) : actual[axis];
  };
  const channels = randomInteger(random, 1, 3);
  const chunked = random() < 0.5;
  const bytes = write((file) => {
    for (const name of ['DataSet', 'DataSet/ResolutionLevel 0', 'DataSet/ResolutionLevel 0/TimePoint 0', 'DataSetInfo'])
      file.create_group(name);
    for (let c = 0; c < channels; c++) {
      const group = file.create_group(`DataSet/ResolutionLevel 0/TimePoint 0/Channel ${c}`) as Group;
      file.create_dataset({
        name: `DataSet/ResolutionLevel 0/TimePoint 0/Channel ${c}/Data`,
        data: Uint16Array.from({ length: 256 }, (_, i) => i + 1000 * c),
        shape: [4, 8, 8],
        ...(chunked && { chunks: [2, 4, 4] }),
      });
      for (const [axis, value] of Object.entries(said))
        if (value !== '') group.create_attribute(`ImageSize${axis}`, [...value], null, 'S1');
    }
    const image = file.create_group('DataSetInfo/Image') as Group;
    for (const end of ['ExtMin0', 'ExtMax0', 'ExtMin1', 'ExtMax1', 'Unit'])
      image.create_attribute(end, [...pick(random, ['0', '10', '-5', 'NaN', 'um', 'x'])], null, 'S1');
  });
  return {
    input: memoryBytes(bytes, 'fuzz.ims'),
    text: JSON.stringify(said),
    expected: {
      sizes: { t: 1, z: size('Z'), c: channels, y: size('Y'), x: size('X') },
      value: ({ z, c, y, x }) => (z * 8 + y) * 8 + x + 1000 * c,
    },
  };
}
