import { Unzlib } from 'fflate';
import { SamError } from '../../errors.js';
import { inflatePrefix } from '../compression/gzip.js';
import { checkBlockSize, checkPlausible } from '../region.js';

/**
 * PNG of every depth and colour type, interlaced too (W3C, third edition, 2025). Values are given as stored: small ones
 * are not stretched, palettes not applied. Checksums are not looked at, and so is everything that says how a picture is
 * to be shown.
 */
export interface Png {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** [height, width, channels]; of palettes the indices. */
  readonly data: Uint8Array | Uint16Array;
  /** Red, green, blue of each index, and alpha where any is transparent. */
  readonly palette?: { readonly channels: 3 | 4; readonly colours: Uint8Array };
}

const INDEXED = 3;
const COLOUR_TYPES: Readonly<Record<number, { readonly channels: number; readonly depths: readonly number[] }>> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
};
/** Deflate packs no better than this. */
const DEFLATE_RATIO = 1032;

export function decodePng(bytes: Uint8Array, name: string): Png {
  const header = readHeader(bytes, name);
  const { width, height, channels, depth } = header;
  const chunks = readChunks(bytes);
  const passes = header.interlaced ? ADAM7 : [WHOLE];
  const parts = passes.map((pass) => passSize(pass, header)).filter((part) => part.height > 0 && part.width > 0);
  const packed = parts.reduce((sum, part) => sum + part.height * (1 + part.rowBytes), 0);
  checkPlausible(name, packed, bytes.length * DEFLATE_RATIO, bytes.length);
  const stream = inflatePrefix(Unzlib, chunks.data, packed, name);
  if (stream.length < packed)
    throw new SamError('invalid_image', `${name} is a truncated PNG; get a complete copy of the file.`);
  const values = width * height * channels;
  const data = depth === 16 ? new Uint16Array(values) : new Uint8Array(values);
  const pixelBytes = Math.max(1, (channels * depth) / 8);
  let at = 0;
  for (const part of parts) {
    const rows = stream.subarray(at, at + part.height * (1 + part.rowBytes));
    undoFilters(rows, part.rowBytes, pixelBytes, name);
    place(rows, part, header, data);
    at += rows.length;
  }
  return {
    width,
    height,
    channels,
    data,
    ...(header.colourType === INDEXED && { palette: paletteOf(chunks.palette, chunks.transparency, name) }),
  };
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly channels: number;
  readonly interlaced: boolean;
}

/** Everything is checked before anything is allocated. */
function readHeader(bytes: Uint8Array, name: string): Header {
  if (bytes.length < 33)
    throw new SamError('invalid_image', `${name} is a truncated PNG; get a complete copy of the file.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, colourType] = [view.getUint8(24), view.getUint8(25)];
  const [compression, filter, interlace] = [view.getUint8(26), view.getUint8(27), view.getUint8(28)];
  const type = COLOUR_TYPES[colourType];
  if (type === undefined || !type.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1)
    throw new SamError(
      'invalid_image',
      `${name} is a damaged PNG: colour type ${colourType} of ${depth} bits, compression ${compression}, filter ${filter}, interlace ${interlace}.`,
    );
  if (width === 0 || height === 0)
    throw new SamError('invalid_image', `${name} is ${height} x ${width} pixels; an image needs at least 1 x 1.`);
  const { channels } = type;
  checkBlockSize(name, 'a picture', [height, width, channels], Math.max(1, depth / 8));
  return { width, height, depth, colourType, channels, interlaced: interlace === 1 };
}

/** The chunks that hold pixels; a file that ends in the middle of one gives what there is of it. */
function readChunks(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: Uint8Array[] = [];
  let palette: Uint8Array | undefined;
  let transparency: Uint8Array | undefined;
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'IDAT') parts.push(content);
    else if (type === 'PLTE') palette = content;
    else if (type === 'tRNS') transparency = content;
    else if (type === 'IEND') break;
    at += 12 + length;
  }
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    data.set(part, to);
    to += part.length;
  }
  return { data, palette, transparency };
}

function paletteOf(plte: Uint8Array | undefined, alpha: Uint8Array | undefined, name: string): Png['palette'] {
  if (plte === undefined || plte.length < 3 || plte.length % 3 !== 0)
    throw new SamError('invalid_image', `${name} is a damaged PNG: its palette is not there or not complete.`);
  if (alpha === undefined) return { channels: 3, colours: plte };
  const count = plte.length / 3;
  const colours = new Uint8Array(count * 4);
  for (let i = 0; i < count; i++) {
    colours.set(plte.subarray(3 * i, 3 * i + 3), 4 * i);
    colours[4 * i + 3] = alpha[i] ?? 255;
  }
  return { channels: 4, colours };
}

/** Which pixels a pass holds: every `dy`th row from `y` on, of these every `dx`th pixel from `x` on. */
interface Pass {
  readonly y: number;
  readonly x: number;
  readonly dy: number;
  readonly dx: number;
}

const WHOLE: Pass = { y: 0, x: 0, dy: 1, dx: 1 };
const ADAM7: readonly Pass[] = [
  { y: 0, x: 0, dy: 8, dx: 8 },
  { y: 0, x: 4, dy: 8, dx: 8 },
  { y: 4, x: 0, dy: 8, dx: 4 },
  { y: 0, x: 2, dy: 4, dx: 4 },
  { y: 2, x: 0, dy: 4, dx: 2 },
  { y: 0, x: 1, dy: 2, dx: 2 },
  { y: 1, x: 0, dy: 2, dx: 1 },
];

interface SizedPass extends Pass {
  readonly height: number;
  readonly width: number;
  readonly rowBytes: number;
}

function passSize(pass: Pass, { height, width, channels, depth }: Header): SizedPass {
  const rows = Math.ceil((height - pass.y) / pass.dy);
  const columns = Math.ceil((width - pass.x) / pass.dx);
  return { ...pass, height: rows, width: columns, rowBytes: Math.ceil((columns * channels * depth) / 8) };
}

/** Rows of one filter byte and `rowBytes` bytes, in place (section 9). */
function undoFilters(rows: Uint8Array, rowBytes: number, pixelBytes: number, name: string): void {
  for (let start = 0; start < rows.length; start += rowBytes + 1) {
    const filter = rows[start]!;
    if (filter > 4) throw new SamError('invalid_image', `${name} is a damaged PNG: a row has the filter ${filter}.`);
    if (filter === 0) continue;
    const first = start + 1;
    const above = start === 0 ? undefined : first - rowBytes - 1;
    for (let i = 0; i < rowBytes; i++) {
      const left = i < pixelBytes ? 0 : rows[first + i - pixelBytes]!;
      const up = above === undefined ? 0 : rows[above + i]!;
      let predicted = left;
      if (filter === 2) predicted = up;
      else if (filter === 3) predicted = (left + up) >> 1;
      else if (filter === 4) {
        const corner = above === undefined || i < pixelBytes ? 0 : rows[above + i - pixelBytes]!;
        predicted = paeth(left, up, corner);
      }
      rows[first + i]! += predicted;
    }
  }
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** The values of a pass to where they belong. */
function place(rows: Uint8Array, pass: SizedPass, header: Header, out: Uint8Array | Uint16Array): void {
  const { channels, depth, width } = header;
  const mask = 2 ** depth - 1;
  for (let row = 0; row < pass.height; row++) {
    const from = row * (pass.rowBytes + 1) + 1;
    let to = ((pass.y + row * pass.dy) * width + pass.x) * channels;
    if (depth === 8 && pass.dx === 1) {
      out.set(rows.subarray(from, from + pass.rowBytes), to);
      continue;
    }
    const skip = (pass.dx - 1) * channels;
    for (let column = 0, value = 0; column < pass.width; column++, to += skip)
      for (let channel = 0; channel < channels; channel++, value++, to++) {
        if (depth === 8) out[to] = rows[from + value]!;
        else if (depth === 16) out[to] = rows[from + 2 * value]! * 256 + rows[from + 2 * value + 1]!;
        else {
          const bit = value * depth;
          out[to] = (rows[from + (bit >> 3)]! >> (8 - depth - (bit & 7))) & mask;
        }
      }
  }
}
