import { SamError } from '../errors.js';
import type { ImageSource } from './image.js';

/** Physical size of a pixel and the names its unit goes by in different formats. */
export type PixelSize = NonNullable<ImageSource['pixelSize']>;

/** @param sizes of a pixel in µm, z y x or y x */
export function micrometres(sizes: readonly number[]): PixelSize {
  const [x, y = x, z] = sizes.toReversed();
  if (x === undefined || y === undefined) throw new SamError('invalid_argument', 'A pixel size of no axis was given.');
  return { ...(z !== undefined && { z }), y, x, unit: 'µm' };
}

/** Metres in one unit; `undefined` for a unit that is no length we know ('pixel', say). */
export function metresPer(unit: string): number | undefined {
  return METRES[canonicalUnit(unit)];
}

/** One spelling per unit: 'um', 'µm', 'micron' and 'micrometer' all become 'µm'; unknown names stay as they are. */
export function canonicalUnit(unit: string): string {
  const plain = unit
    .trim()
    .replace('\u03bc', '\u00b5')
    .replace(/^\\u00B5/i, '\u00b5');
  return NAMES[plain.toLowerCase()] ?? plain;
}

/** Units that say nothing of the world: pixels, and OME's 'reference frame'. */
export function isNoLength(unit: string): boolean {
  return /^(|px|pixels?|reference ?frame)$/i.test(unit.trim());
}

/** The name OME-Zarr uses for it, e.g. 'micrometer'. */
export function longUnit(unit: string): string {
  return LONG[canonicalUnit(unit)] ?? unit;
}

const METRES: Readonly<Record<string, number>> = {
  Å: 1e-10,
  nm: 1e-9,
  µm: 1e-6,
  mm: 1e-3,
  cm: 1e-2,
  m: 1,
  in: 0.0254,
};

const LONG: Readonly<Record<string, string>> = {
  Å: 'angstrom',
  nm: 'nanometer',
  µm: 'micrometer',
  mm: 'millimeter',
  cm: 'centimeter',
  m: 'meter',
  in: 'inch',
};

const NAMES: Readonly<Record<string, string>> = {
  å: 'Å',
  angstrom: 'Å',
  nm: 'nm',
  nanometer: 'nm',
  nanometre: 'nm',
  um: 'µm',
  µm: 'µm',
  micron: 'µm',
  microns: 'µm',
  micrometer: 'µm',
  micrometre: 'µm',
  mm: 'mm',
  millimeter: 'mm',
  millimetre: 'mm',
  cm: 'cm',
  centimeter: 'cm',
  centimetre: 'cm',
  m: 'm',
  meter: 'm',
  metre: 'm',
  in: 'in',
  inch: 'in',
};
