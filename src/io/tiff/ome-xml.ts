import type { ImageSource } from '../image.js';
import { pixelSizeFrom } from '../pixel-size-of.js';

/**
 * The part of OME-XML that says how the planes of an OME-TIFF are arranged (OME data model 2016-06). A scan for tags, not
 * an XML parser: workers have none, and only attributes of a few elements are needed.
 */
export interface OmeImage {
  readonly name: string;
  readonly sizes: {
    readonly t: number;
    readonly c: number;
    readonly z: number;
    readonly y: number;
    readonly x: number;
  };
  /** Order in which planes vary, fastest first, e.g. 'zct'. */
  readonly planeOrder: string;
  readonly type: string;
  readonly pixelSize?: ImageSource['pixelSize'];
  readonly channels: readonly { readonly name?: string; readonly color?: string; readonly wavelength?: number }[];
  readonly tiffData: readonly TiffData[];
}

/** Planes from (c, z, t) on, in plane order, are pages from `page` on of `file`. */
export interface TiffData {
  readonly page?: number;
  readonly count?: number;
  readonly c: number;
  readonly z: number;
  readonly t: number;
  readonly file?: string;
  readonly uuid?: string;
}

export interface OmeDocument {
  readonly uuid?: string;
  readonly images: readonly OmeImage[];
}

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly text: string;
}

/** OME-XML that describes images; a pointer to a companion file (BinaryOnly) does not, and its pages are read as they are. */
export function isOmeXml(description: string | undefined): description is string {
  return isOme(description) && companionOf(description) === undefined;
}

function isOme(description: string | undefined): description is string {
  return /<(\w+:)?OME[\s>]/.test(description?.slice(0, 4096) ?? '');
}

/** The companion file that describes the pages of this one (BinaryOnly), with the UUID of this one. */
export function companionOf(description: string | undefined): { name: string; uuid: string | undefined } | undefined {
  if (!isOme(description)) return undefined;
  const parts = [...elements(description.slice(0, 4096))];
  const pointer = parts.find(({ name }) => name === 'BinaryOnly');
  const ome = parts.find(({ name }) => name === 'OME');
  return pointer && { name: pointer.attributes.get('MetadataFile') ?? '', uuid: ome?.attributes.get('UUID') };
}

export function parseOmeXml(xml: string): OmeDocument {
  const images: { element: Element; parts: Element[] }[] = [];
  let uuid: string | undefined;
  for (const element of elements(xml)) {
    if (element.name === 'OME') uuid = element.attributes.get('UUID');
    else if (element.name === 'Image') images.push({ element, parts: [] });
    else images.at(-1)?.parts.push(element);
  }
  return { uuid, images: images.flatMap(({ element, parts }) => parseImage(element, parts)) };
}

/** Elements as they begin, but for those of annotations, in which programs note what they like: other images too. */
function* elements(xml: string): Generator<Element> {
  let inAnnotations = false;
  const text = without(without(xml, '<!--', '-->'), '<![CDATA[', ']]>');
  // Values of attributes may hold '>', but not '<'.
  for (const [, closing, qualified = '', rest = '', content = ''] of text.matchAll(
    /<(\/?)([\w:.-]+)((?:[^<>"']|"[^"<]*"|'[^'<]*')*)>([^<]*)/g,
  )) {
    const name = qualified.replace(/^.*:/, '');
    if (name === 'StructuredAnnotations') inAnnotations = closing === '' && !rest.endsWith('/');
    if (inAnnotations || closing !== '') continue;
    const attributes = new Map<string, string>();
    for (const [, key = '', double, single = ''] of rest.matchAll(/([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g))
      attributes.set(key, unescapeXml(double ?? single));
    yield { name, attributes, text: unescapeXml(content.trim()) };
  }
}

/** Comments and the like are no elements, whatever is in them. */
function without(xml: string, start: string, end: string): string {
  const parts: string[] = [];
  let at = 0;
  for (let from = xml.indexOf(start); from >= 0; from = xml.indexOf(start, at)) {
    parts.push(xml.slice(at, from));
    const to = xml.indexOf(end, from);
    at = to < 0 ? xml.length : to + end.length;
  }
  return parts.join('') + xml.slice(at);
}

function unescapeXml(text: string): string {
  return text
    .replace(/&#(\d{1,7});/g, (_, code) => String.fromCodePoint(Math.min(Number(code), 0x10ffff)))
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&amp;/g, '&');
}

function parseImage(image: Element, parts: readonly Element[]): OmeImage[] {
  const pixels = parts.find(({ name }) => name === 'Pixels')?.attributes;
  if (pixels === undefined) return [];
  const whole = (key: string) => Number(pixels.get(key) ?? Number.NaN);
  return [
    {
      name: image.attributes.get('Name') ?? '',
      sizes: { t: whole('SizeT'), c: whole('SizeC'), z: whole('SizeZ'), y: whole('SizeY'), x: whole('SizeX') },
      planeOrder: (pixels.get('DimensionOrder') ?? 'XYZCT').toLowerCase().replace(/[xy]/g, ''),
      type: pixels.get('Type') ?? '',
      pixelSize: pixelSizeOf(pixels),
      channels: parts
        .filter(({ name }) => name === 'Channel')
        .map(({ attributes }) => ({
          name: attributes.get('Name'),
          color: colourOf(attributes.get('Color')),
          ...wavelengthOf(attributes),
        })),
      tiffData: parts.flatMap((part, i) => (part.name === 'TiffData' ? [tiffDataOf(part, parts[i + 1])] : [])),
    },
  ];
}

function tiffDataOf({ attributes }: Element, next: Element | undefined): TiffData {
  const number = (key: string) => (attributes.has(key) ? Number(attributes.get(key)) : undefined);
  const uuid = next?.name === 'UUID' ? next : undefined;
  return {
    page: number('IFD'),
    count: number('PlaneCount') ?? number('NumPlanes'),
    c: number('FirstC') ?? 0,
    z: number('FirstZ') ?? 0,
    t: number('FirstT') ?? 0,
    file: uuid?.attributes.get('FileName'),
    uuid: uuid?.text,
  };
}

function pixelSizeOf(pixels: ReadonlyMap<string, string>): OmeImage['pixelSize'] {
  const length = (axis: string) => {
    const size = Number(pixels.get(`PhysicalSize${axis}`) ?? Number.NaN);
    return size > 0 ? { length: size, unit: pixels.get(`PhysicalSize${axis}Unit`) ?? 'µm' } : undefined;
  };
  return pixelSizeFrom({ z: length('Z'), y: length('Y'), x: length('X') });
}

/** In nm, whatever the file counts in. */
function wavelengthOf(attributes: ReadonlyMap<string, string>): { readonly wavelength?: number } {
  const length = Number(attributes.get('EmissionWavelength') ?? Number.NaN);
  const inNanometres: Readonly<Record<string, number>> = { nm: 1, µm: 1000, um: 1000, pm: 0.001 };
  const wavelength = length * (inNanometres[attributes.get('EmissionWavelengthUnit') ?? 'nm'] ?? Number.NaN);
  return wavelength > 0 ? { wavelength } : {};
}

/** OME colours are RGBA in a signed 32-bit integer. */
function colourOf(text: string | undefined): string | undefined {
  if (text === undefined || !Number.isInteger(Number(text))) return undefined;
  return `#${((Number(text) >>> 8) & 0xffffff).toString(16).padStart(6, '0')}`;
}
