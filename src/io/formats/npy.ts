import { SamError } from '../../errors.js';
import { sizeOf } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { bytesPerElement, type FileDtype } from '../elements.js';
import type { ImageSource } from '../image.js';
import { arrange, guessAxes, namedChannels, planeAxes } from '../ndarray.js';
import { colourChannels } from '../region.js';
import { openStrided } from '../strided.js';
import { cellposeMasks } from './cellpose.js';

/** NumPy's .npy (format 1.0 to 3.0, C or Fortran order), read by rows. Axes are told from the shape, see ndarray.ts. */
const DTYPES: Record<string, FileDtype> = {
  b1: 'bool',
  i1: 'int8',
  u1: 'uint8',
  i2: 'int16',
  u2: 'uint16',
  i4: 'int32',
  u4: 'uint32',
  i8: 'int64',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

export async function openNpy(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const { start, header } = await headerText(source, options);
  if (/'descr'\s*:\s*'\|O\d*'/.test(header)) return openNpy(await cellposeMasks(source, start, options), options);
  const { dtype, littleEndian, fortran, shape } = parseHeader(header, name);
  const strides = shape.map((_, axis) => sizeOf(fortran ? shape.slice(0, axis) : shape.slice(axis + 1)));
  const axes = guessAxes(shape, name);
  const layout = arrange(shape, axes, name, strides);
  const { t, z, c } = layout.sizes;
  const colour = axes.includes('s');
  return openStrided(
    { source, offset: start, dtype, littleEndian, layout },
    {
      name,
      axes: planeAxes(t > 1, z > 1),
      channels: colour ? colourChannels(c) : namedChannels(c),
      rgb: colour,
    },
  );
}

/** How long a file is by its header, of which `source` needs to hold no more. */
export async function npyLength(source: ByteSource, options: TaskOptions = {}): Promise<number> {
  const { offset, dtype, shape } = await readHeader(source, options);
  return offset + sizeOf(shape) * bytesPerElement(dtype);
}

async function readHeader(source: ByteSource, options: TaskOptions) {
  const { start, header } = await headerText(source, options);
  return { offset: start, ...parseHeader(header, source.name) };
}

/** The header, and where what follows it begins. */
async function headerText(source: ByteSource, options: TaskOptions): Promise<{ start: number; header: string }> {
  const { name } = source;
  const prefix = await source.read(0, Math.min(12, source.size), options);
  const two = (prefix[6] ?? 0) >= 2;
  const start = two ? 12 : 10;
  if (prefix.length < start)
    throw new SamError('invalid_image', `${name} is a truncated .npy file; get a complete copy.`);
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
  const length = two ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(await source.read(start, length, options));
  return { start: start + length, header };
}

/** The header is a Python dictionary literal: {'descr': '<u2', 'fortran_order': False, 'shape': (10, 20), } */
function parseHeader(header: string, name: string) {
  const [, byteOrder, kind] = /'descr'\s*:\s*'([<>|=]?)([a-zA-Z]\d+)'/.exec(header) ?? [];
  const [, lengths] = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header) ?? [];
  const [, fortran] = /'fortran_order'\s*:\s*(True|False)/.exec(header) ?? [];
  if (lengths === undefined || fortran === undefined || !/'descr'/.test(header))
    throw new SamError('invalid_image', `${name} has a damaged .npy header; save it again with numpy.save.`);
  const dtype = kind === undefined ? undefined : DTYPES[kind];
  if (dtype === undefined)
    throw new SamError(
      'unsupported',
      `${name} holds objects, records or complex numbers (${header.slice(0, 60)}), which are not read; save an array of plain numbers.`,
    );
  return {
    dtype,
    littleEndian: byteOrder !== '>',
    fortran: fortran === 'True',
    shape: lengths.split(',').flatMap((part) => (part.trim() ? [Number.parseInt(part, 10)] : [])),
  };
}
