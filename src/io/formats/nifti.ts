import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, memoryBytes, readAll } from '../bytes.js';
import { gunzipPrefix } from '../compression/gzip.js';
import { bytesPerElement, type FileDtype } from '../elements.js';
import type { ImageSource } from '../image.js';
import { type Layout, namedChannels, planeAxes } from '../ndarray.js';
import { checkBlockSize, checkPlausible, colourChannels } from '../region.js';
import { SNIFF_LENGTH, sniffFormat, unknownFormat } from '../sniff.js';
import { openStrided } from '../strided.js';

/**
 * NIfTI-1 and NIfTI-2, plain or gzipped (nifti.nimh.nih.gov). Values are given as stored, which keeps integers
 * exact; the slope and intercept of the header are those of measurements. x varies fastest in the file, so planes are contiguous; a gzipped
 * file is unpacked into memory.
 */
interface NiftiHeader {
  readonly shape: readonly [x: number, y: number, z: number, t: number, extra: number];
  readonly dtype: FileDtype;
  readonly samples: number;
  readonly littleEndian: boolean;
  readonly offset: number;
  readonly spacing: readonly [x: number, y: number, z: number];
  readonly unit: string | undefined;
  readonly valueScale: ImageSource['valueScale'];
}

const DTYPES: Record<number, readonly [FileDtype, samples: number]> = {
  2: ['uint8', 1],
  4: ['int16', 1],
  8: ['int32', 1],
  16: ['float32', 1],
  64: ['float64', 1],
  128: ['uint8', 3],
  256: ['int8', 1],
  512: ['uint16', 1],
  768: ['uint32', 1],
  1024: ['int64', 1],
  1280: ['uint64', 1],
  2304: ['uint8', 4],
};
const UNITS: Record<number, string> = { 1: 'm', 2: 'mm', 3: 'µm' };
/** Of NIfTI-1 and NIfTI-2; a header begins with its own length. */
const HEADER_BYTES = [348, 540] as const;

export async function openNifti(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const head = await source.read(0, Math.min(SNIFF_LENGTH, source.size), options);
  if (head[0] !== 0x1f) return openPlain(source, readHeader(head, name));
  const packed = await readAll(source, options);
  const inner = gunzipPrefix(packed, SNIFF_LENGTH, name);
  if (sniffFormat(inner) !== 'nifti') throw notNifti(name, inner);
  const header = readHeader(inner, name);
  const { shape, samples, offset } = header;
  const total = offset + shape.reduce((product, length) => product * length, samples) * bytesPerElement(header.dtype);
  checkBlockSize(name, 'a volume', [...shape, samples], bytesPerElement(header.dtype));
  checkPlausible(name, total, packed.length * 1032, packed.length);
  options.signal?.throwIfAborted();
  return openPlain(memoryBytes(gunzipPrefix(packed, total, name), name), header);
}

function notNifti(name: string, inner: Uint8Array): SamError {
  const format = sniffFormat(inner);
  if (format === undefined) return unknownFormat(`The content of ${name}`, inner);
  return new SamError(
    'unsupported',
    `${name} is a gzipped ${format.toUpperCase()}; unpack it and open the file inside.`,
    {
      details: { feature: `gzipped ${format}` },
    },
  );
}

function openPlain(source: ByteSource, header: NiftiHeader): ImageSource {
  const [x, y, z, t, extra] = header.shape;
  const c = extra * header.samples;
  const { samples } = header;
  const layout: Layout = {
    sizes: { t, c, z, y, x },
    strides: {
      x: samples,
      y: x * samples,
      z: x * y * samples,
      t: x * y * z * samples,
      c: samples > 1 ? 1 : x * y * z * t,
    },
  };
  const [dx, dy, dz] = header.spacing;
  const sized = header.unit !== undefined && dx > 0 && dy > 0;
  return openStrided(
    { source, offset: header.offset, dtype: header.dtype, littleEndian: header.littleEndian, layout },
    {
      name: source.name,
      axes: planeAxes(t > 1, z > 1),
      channels: samples > 1 ? colourChannels(samples) : namedChannels(c),
      rgb: samples > 1,
      pixelSize: sized ? { x: dx, y: dy, ...(dz > 0 ? { z: dz } : {}), unit: header.unit ?? '' } : undefined,
      ...(header.valueScale && { valueScale: header.valueScale }),
    },
  );
}

function readHeader(head: Uint8Array, name: string): NiftiHeader {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const stated = [view.getInt32(0, true), view.getInt32(0, false)];
  const size = HEADER_BYTES.find((bytes) => stated.includes(bytes));
  if (size === undefined || head.length < size)
    throw new SamError('invalid_image', `${name} is a truncated or damaged NIfTI: its header is not complete.`);
  const littleEndian = stated[0] === size;
  const two = size === 540;
  const long = (at: number) => Number(view.getBigInt64(at, littleEndian));
  const dim = (i: number) => (two ? long(16 + 8 * i) : view.getInt16(40 + 2 * i, littleEndian));
  const spacing = (i: number) =>
    two ? view.getFloat64(112 + 8 * i, littleEndian) : view.getFloat32(80 + 4 * i, littleEndian);
  const code = view.getInt16(two ? 12 : 70, littleEndian);
  const rank = dim(0);
  const length = (i: number) => (i <= rank ? dim(i) : 1);
  const shape = [length(1), length(2), length(3), length(4), length(5)] as const;
  if (rank < 1 || rank > 7 || shape.some((length) => length < 1))
    throw new SamError('invalid_image', `${name} claims the shape [${[1, 2, 3, 4, 5].map(dim)}]; it is damaged.`);
  if (length(6) > 1 || length(7) > 1)
    throw new SamError('unsupported', `${name} has ${rank} axes; NIfTI files of up to 5 are read.`);
  const kind = DTYPES[code];
  if (kind === undefined)
    throw new SamError(
      'unsupported',
      `${name} holds NIfTI data type ${code} (complex or 128-bit numbers), which is not read.`,
    );
  if (kind[1] > 1 && shape[4] > 1)
    throw new SamError('unsupported', `${name} has colour and a fifth axis, which is not read.`);
  if (head[two ? 5 : 345] === 0x69)
    throw new SamError('unsupported', `${name} is the header of an .hdr/.img pair; save it as one .nii file.`);
  const offset = two ? long(168) : view.getFloat32(108, littleEndian);
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new SamError('invalid_image', `${name} says its pixels start at byte ${offset}; it is damaged.`);
  const units = two ? view.getInt32(500, littleEndian) : view.getUint8(123);
  const slope = two ? view.getFloat64(176, littleEndian) : view.getFloat32(112, littleEndian);
  const intercept = two ? view.getFloat64(184, littleEndian) : view.getFloat32(116, littleEndian);
  return {
    shape,
    dtype: kind[0],
    samples: kind[1],
    littleEndian,
    offset,
    spacing: [spacing(0), spacing(1), spacing(2)],
    unit: UNITS[units & 7],
    valueScale: kind[1] === 1 ? scaleOf(slope, intercept) : undefined,
  };
}

/** A slope of zero says that there is none, and so does a number that is none. */
function scaleOf(slope: number, intercept: number): NiftiHeader['valueScale'] {
  if (slope === 0 || !Number.isFinite(slope) || !Number.isFinite(intercept)) return undefined;
  return slope === 1 && intercept === 0 ? undefined : { slope, intercept };
}
