import { present } from '../../items.js';
import type { Dtype } from '../../ndimage/array.js';
import { canonicalUnit, type PixelSize } from '../pixel-size.js';

/**
 * The text in a TIFF's first page that tells ImageJ or an OME reader which page is which. Pages run t, z, c with c
 * fastest, ImageJ's only order and OME's XYCZT. Both texts are plain ASCII, as the TIFF tag demands.
 */
export interface StackMeaning {
  readonly name: string;
  readonly dtype: Dtype;
  readonly sizes: {
    readonly t: number;
    readonly z: number;
    readonly c: number;
    readonly y: number;
    readonly x: number;
  };
  /** The samples of a pixel are the three colours of a picture. */
  readonly rgb: boolean;
  readonly pixelSize?: PixelSize;
  readonly channelNames?: readonly string[];
  /** Values shown black and white. */
  readonly range?: readonly [low: number, high: number];
}

/** ImageJ's `key=value` lines. */
export function imageJDescription(stack: StackMeaning): string {
  const { sizes, pixelSize, range } = stack;
  const lines = [
    'ImageJ=1.11a',
    `images=${sizes.t * sizes.z * sizes.c}`,
    ...(sizes.c > 1 ? [`channels=${sizes.c}`] : []),
    ...(sizes.z > 1 ? [`slices=${sizes.z}`] : []),
    ...(sizes.t > 1 ? [`frames=${sizes.t}`] : []),
    'hyperstack=true',
    `mode=${sizes.c > 1 ? 'composite' : 'grayscale'}`,
    ...(pixelSize ? [`unit=${imageJUnit(pixelSize.unit)}`] : []),
    ...(pixelSize?.z === undefined ? [] : [`spacing=${pixelSize.z}`]),
    'loop=false',
    ...(range ? [`min=${range[0]}`, `max=${range[1]}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** OME-XML, schema 2016-06. */
export function omeDescription(stack: StackMeaning): string {
  const { sizes, pixelSize } = stack;
  const samples = stack.rgb ? 3 : 1;
  const unit = pixelSize && escapeXml(canonicalUnit(pixelSize.unit));
  const physical = (axis: 'X' | 'Y' | 'Z', value: number | undefined) =>
    value === undefined ? '' : ` PhysicalSize${axis}="${value}" PhysicalSize${axis}Unit="${unit}"`;
  const channels = Array.from({ length: sizes.c }, (_, i) => {
    const name = stack.channelNames?.[i];
    return `<Channel ID="Channel:0:${i}" SamplesPerPixel="${samples}"${name ? ` Name="${escapeXml(name)}"` : ''}><LightPath/></Channel>`;
  });
  const pages = sizes.t * sizes.z * sizes.c;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"',
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
    ' xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">',
    `<Image ID="Image:0" Name="${escapeXml(stack.name)}">`,
    `<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="${OME_TYPES[stack.dtype]}" BigEndian="false" Interleaved="${stack.rgb}"`,
    ` SizeX="${sizes.x}" SizeY="${sizes.y}" SizeC="${sizes.c * samples}" SizeZ="${sizes.z}" SizeT="${sizes.t}"`,
    `${physical('X', pixelSize?.x)}${physical('Y', pixelSize?.y)}${physical('Z', pixelSize?.z)}>`,
    ...channels,
    `<TiffData IFD="0" PlaneCount="${pages}"/>`,
    '</Pixels></Image></OME>',
  ].join('');
}

const OME_TYPES: Readonly<Record<Dtype, string>> = {
  int8: 'int8',
  uint8: 'uint8',
  int16: 'int16',
  uint16: 'uint16',
  int32: 'int32',
  uint32: 'uint32',
  float32: 'float',
  float64: 'double',
};

function imageJUnit(unit: string): string {
  const canonical = canonicalUnit(unit);
  if (canonical === 'µm') return 'um';
  return toAscii(canonical, (code) => `\\u${code.toString(16).padStart(4, '0').toUpperCase()}`);
}

function escapeXml(text: string): string {
  const marked = text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  // Control characters have no place in XML 1.0, not even escaped.
  return toAscii(marked, (code) => (code < 32 ? ' ' : `&#${code};`));
}

function toAscii(text: string, encode: (code: number) => string): string {
  return Array.from(text, (sign) => {
    const code = present(sign.codePointAt(0), 'a character');
    return code >= 32 && code < 127 ? sign : encode(code);
  }).join('');
}
