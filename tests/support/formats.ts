import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { SamError } from '../../src/errors.js';
import type { ImageSource } from '../../src/io/image.js';
import { fileBytes } from '../../src/io/node-file.js';
import { openFile } from '../../src/io/node-open.js';
import { openImage } from '../../src/io/open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import { READABLE } from '../../src/io/sniff.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { UNREADABLE } from '../../src/io/unreadable.js';
import { allocate, type TypedArray } from '../../src/ndimage/array.js';
import { type DataItem, dataItems, dataPath } from './data.js';

/** Reads the items of the data folder and compares them with the hashes of their manifest. */

export async function openItem(file: string, key?: string): Promise<ImageSource> {
  const full = dataPath(file);
  if (!statSync(full).isDirectory()) return openImage(await fileBytes(full));
  const frames = readdirSync(full).filter((name) => name.endsWith('.tif'));
  if (frames.length > 0) return openImage(await Promise.all(frames.map((name) => fileBytes(path.join(full, name)))));
  return openImage(folderStore(full), { key });
}

/**
 * All pixels of an image in the order of `axes` (letters of the manifest: Q and I are pages, S and C channels), as the
 * bytes that `dtype` has.
 */
export async function pixelsInOrder(source: ImageSource, axes: string): Promise<TypedArray> {
  const { t, c, z, y, x } = source.sizes;
  const letters = [...axes.toLowerCase()].map((letter) => {
    if (letter === 'i' || letter === 'q') return t > 1 ? 't' : 'z';
    const both = /t/i.test(axes) && /z/i.test(axes);
    if ((letter === 't' || letter === 'z') && !both && source.sizes[letter] === 1) return t > 1 ? 't' : 'z';
    return letter === 's' ? 'c' : letter;
  }) as ('t' | 'c' | 'z' | 'y' | 'x')[];
  const strides = { t: 0, c: 0, z: 0, y: 0, x: 0 };
  let step = 1;
  for (const letter of [...letters].reverse()) {
    strides[letter] = step;
    step *= source.sizes[letter];
  }
  const out = allocate(source.dtype, step);
  for (let ti = 0; ti < t; ti++)
    for (let zi = 0; zi < z; zi++) {
      const { data } = await source.readRegion({ t: ti, z: zi });
      let from = 0;
      for (let yi = 0; yi < y; yi++)
        for (let xi = 0; xi < x; xi++)
          for (let ci = 0; ci < c; ci++)
            out[ti * strides.t + zi * strides.z + yi * strides.y + xi * strides.x + ci * strides.c] = data[from++];
    }
  return out;
}

export function sha256(data: TypedArray): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

/** The axes of an item whose manifest leaves them out. */
export function axesOf(item: DataItem): string {
  if (item.axes) return item.axes;
  return { 2: 'YX', 3: 'YXS', 4: 'IYXS' }[item.shape.length] ?? '';
}

export interface FormatRow {
  readonly file: string;
  readonly variant: string;
  readonly result: string;
  /** Undefined where there is no hash to compare with. */
  readonly exact: boolean | undefined;
}

/** A hash of tests/fixtures/references.json: of pixels, or labels, as another program reads them. */
export interface Reference {
  readonly file: string;
  /** Opened together. */
  readonly files?: readonly string[];
  readonly key?: string;
  readonly series?: number;
  readonly labels?: boolean;
  readonly variant: string;
  readonly axes: string;
  readonly reader: string;
  readonly sha256: string;
}

export function references(): Reference[] {
  return JSON.parse(readFileSync(path.join('tests', 'fixtures', 'references.json'), 'utf8'));
}

/** Whether our pixels are those of the reference. */
export async function equalsReference(reference: Reference): Promise<boolean> {
  const { file, files, key, series, axes, labels } = reference;
  const source = files
    ? await openImage(await Promise.all(files.map((name) => fileBytes(dataPath(name)))), { series })
    : await openFile(dataPath(file), { key, series });
  try {
    if (labels) return sha256((await readLabelImage(source)).data) === reference.sha256;
    return sha256(await pixelsInOrder(source, axes)) === reference.sha256;
  } finally {
    await source.close();
  }
}

/** Reads every item of the manifest and what else there are references for; the rows of docs/formats.md. */
export async function readAllItems(): Promise<FormatRow[]> {
  const rows: FormatRow[] = [];
  const others = references();
  for (const item of dataItems())
    if (item.pixels_sha256_le) rows.push({ file: item.file, variant: variantOf(item), ...(await readItem(item)) });
    else if (!others.some(({ file }) => file === item.file))
      rows.push({ file: item.file, variant: variantOf(item), ...(await readItem(item)) });
  for (const reference of others) {
    const { file, variant } = reference;
    rows.push({ file, variant, ...(await compared(() => equalsReference(reference))) });
  }
  return rows.sort((a, b) => order(a.file, b.file) || order(a.variant, b.variant));
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

async function readItem(item: DataItem): Promise<Pick<FormatRow, 'result' | 'exact'>> {
  const expected = item.pixels_sha256_le;
  return compared(async () => {
    const source = await openItem(item.file);
    const pixels = await pixelsInOrder(source, expected ? axesOf(item) : 'TCZYX'.slice(source.sizes.t > 1 ? 0 : 1));
    await source.close();
    return expected === undefined ? undefined : sha256(pixels) === expected;
  }, expected === undefined);
}

async function compared(
  compare: () => Promise<boolean | undefined>,
  unknown = false,
): Promise<Pick<FormatRow, 'result' | 'exact'>> {
  try {
    const exact = await compare();
    if (exact === undefined) return { result: 'read; no reference hash', exact };
    return { result: exact ? 'identical' : 'DIFFERENT', exact };
  } catch (error) {
    const text = error instanceof SamError ? `${error.code}: ${error.message}` : `${error}`;
    return { result: text, exact: unknown ? undefined : false };
  }
}

function variantOf(item: DataItem): string {
  const { tiff, modality } = item as DataItem & {
    modality: string;
    tiff?: Record<string, string | number | boolean | null> | null;
  };
  const kind = `${item.dtype ?? ''} ${item.shape ? item.shape.join(' x ') : ''}`.trim();
  if (!tiff?.compression) return [modality, kind].filter(Boolean).join(', ');
  const name = (value: unknown) => String(value).toLowerCase().replace(/_/g, ' ');
  return [
    tiff.ome ? 'OME-TIFF' : tiff.imagej ? 'ImageJ TIFF' : tiff.bigtiff ? 'BigTIFF' : 'TIFF',
    kind,
    ['1', 'NONE'].includes(String(tiff.compression)) ? 'uncompressed' : name(tiff.compression),
    ['1', 'NONE'].includes(String(tiff.predictor)) ? '' : `${name(tiff.predictor)} predictor`,
    name(tiff.photometric),
    tiff.planar === 'SEPARATE' ? 'planar' : '',
    tiff.tiled ? 'tiled' : '',
    tiff.byteorder === '>' ? 'big-endian' : '',
    Number(tiff.bitspersample) % 8 ? `${tiff.bitspersample} bits` : '',
    Number(tiff.pages) > 1 ? `${tiff.pages} pages` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

/** `Zeiss CZI (.czi), …` */
const UNREADABLE_NAMES = UNREADABLE.filter(({ extensions }) => extensions)
  .map(({ what, extensions = [] }) => {
    const name = what
      .replace(/^an? /, '')
      .replace(/,.*| (file|picture)$/g, '')
      .replace(/ file$/, '');
    return `${name} (${extensions.map((extension) => `.${extension}`).join(' ')})`;
  })
  .join(', ');

export function formatsTable(rows: readonly FormatRow[]): string {
  const hashed = rows.filter(({ exact }) => exact !== undefined);
  const lines = rows.map(({ file, variant, result }) => `| ${file} | ${variant} | ${result} |`);
  return `# Formats

## What can be opened

${READABLE}: from a file, several files or a folder, a web address, or an array. What a file is, is told from its
bytes. A region reads only the tiles, strips, rows or chunks it touches, whether it comes from a file, an archive or a web
address. Formats that are compressed as one stream have no parts to choose from: PNG, JPEG, WebP, .nii.gz and compressed
members of an .npz are read and unpacked whole, up to 2 GB of file and 1 GB of pixels; larger ones are refused with the
advice to save them as OME-Zarr or TIFF. Values are given as stored; half floats become float32, 64-bit
integers float64 if all of them are exact (else the error names the value), palettes in PNG become colours and in TIFF
stay indices, because ImageJ stores look-up tables over intensities so. Loaded as labels, a PNG with a palette gives its
indices, and grey that was saved as red, green and blue its grey; JPEG
and lossy WebP, which change numbers, are refused as labels.

- **TIFF**: BigTIFF, both byte orders, strips, tiles, planar; 1 to 32-bit and 64-bit integers, 16, 32 and 64-bit floats;
  uncompressed, LZW (also old-style), deflate, zstd, PackBits, JPEG; predictors 2 and 3; resolution levels as
  sub-directories or pages; planes with a directory each or all behind one. What a plane is, is told by ImageJ's text (any
  of its counts may be missing), OME-XML (also of several files opened together, and of a \`.companion.ome\`, which finds
  its files beside it), the index of an NDTiff, tifffile's shapes, Zeiss LSM (also beyond 4 GB), MetaMorph STK and
  ScanImage; the size of a pixel also by Aperio.
- **OME-Zarr** 0.1 to 0.5 with resolution levels; labels by the key \`labels/<name>\`; zarr v2 and v3 arrays by key,
  sharded too; blosc, gzip, zlib, zstd, lz4. Plates: one field by its key, for example \`A/1/0\`. Several images of
  bioformats2raw are all offered. NaN and Infinity in the JSON are read as Python writes them; chunks in folders are found
  where the metadata say nothing of them, and chunks under keys other than the metadata say are an error, not black.
  Resolution levels that were never written are left out, the largest one is the image, and axes that are fewer or more than those of the array are told
  from its shape, with a word about it.
- **NIfTI** 1 and 2 (one file; values as stored, measurements with slope and intercept), **.npy** and **.npz**, **PNG** of
  1 to 16 bits, interlaced too, **JPEG** (grey and colour, 8 bits), **WebP** (of an animation the first frame).
- **HDF5** of every format version: one dataset by key, in one block or in chunks, that may grow or not; gzip, LZF, zstd,
  blosc, shuffle, checksums. Axes are those of ilastik's \`axistags\` or of dimension labels, the size of a pixel that of
  \`element_size_um\`. MATLAB 7.3 (arrays as MATLAB shows them), also behind other user blocks. Imaris (.ims) as one image
  with its channels, time points and resolution levels. Each chunk is found through the index of the file.

Where what a file says of its pixels and the pixels themselves differ, the pixels count and the difference is told: text
that gives other sizes, axes that do not fit the shape. A recording that stopped early is as long as it was meant to be;
planes that are not there are black, and scripts find them in \`absentPlanes\`. One file of a recording of several finds the
others beside it on disk, on the web and behind the annotator's server; opened alone, it shows what is in it and names the
others, whose planes are black and absent. Other positions are never shown for its own. The OME-XML may be in each file, in
the first one, to which the others point (MicroManager), or in a companion file. In a folder such files are one image, as
are those of an NDTiff.

Where a file holds several images (datasets of an HDF5, arrays of an .npz, series of an OME-TIFF), the annotator asks which
one is meant, the command line and scripts say it by key or number (\`-k\`, \`--series\`); the command line takes the first
where nothing is said, and tells of the others.

What is recognised but not read gives an error that names the feature: CCITT, old-style JPEG, JPEG 2000, JPEG XL, LERC,
LZMA and WebP inside TIFF; YCbCr TIFF without JPEG; complex numbers; samples of different depths; lossless, arithmetic and
CMYK JPEG; szip, n-bit, scale-offset and other filters of HDF5, and its external and virtual
datasets. Masks in Cellpose's \`_seg.npy\` are read as labels; other Python objects are not, and nothing of a pickle is run.

Formats of their own that are not read are named with what to do instead: ${UNREADABLE_NAMES}. So are pointers of Git LFS
and git-annex, and web pages in place of files.

## Labels into the image

\`micro-sam automatic_segmentation … --into_image cells\` adds the labels to each OME-Zarr itself, as \`labels/cells\` with
resolution levels, in the version of the image (0.4 or 0.5), also to the fields of a plate; scripts call
\`addLabelsToImage(store, labels, { name: 'cells' })\`. All other formats are files of their own.

## Measured

| what | command | result |
| --- | --- | --- |
| images from a file, a drop, an address and memory that give the same pixels and metadata | \`npm run bench places\` | 110 of 110 |
| label images with random ids, also above 65,535, through every writer that keeps pixels and back | \`npm run bench roundtrip\` | 1,000 images, 6,549 files, no difference |
| bytes fetched for 1024² of a 20,000² OME-Zarr over HTTP, by those of the chunks it touches | \`npm run bench range\` | 1.00 |
| growth of memory in a walk of 5 minutes over it | \`MICRO_SAM_WALK_SECONDS=300 npm run bench range\` | 233 MB |
| damaged files of each of TIFF, PNG, JPEG, WebP, NIfTI, NumPy, HDF5 and zarr, read or refused with a reason within a second | \`npm run bench fuzz\` | 20,000 each, no crash, no hang |
| files by grammar, right, contradicted by their pixels or broken, that have the right pixels or are refused with a reason | \`npm run bench fuzz\` | 20,000 each of OME-XML, axistags and attributes, no failure |

## Images that were read

Every image of the test data, read whole through \`openImage\` and compared with the hash of its pixels as other programs
decode it (tifffile, libtiff, Pillow, nibabel, h5py, zarr-python): ${hashed.filter(({ exact }) => exact).length} of ${hashed.length} are identical. This table is written by
\`MICRO_SAM_WRITE_DOCS=1 npm run bench formats\` and checked by a test where the data are present.

| file | what it is | result |
| --- | --- | --- |
${lines.join('\n')}
`;
}
