import type { ImageSource } from './image.js';
import { canonicalUnit, isNoLength, metresPer } from './pixel-size.js';

/** A length as a file gives it. */
export interface Length {
  readonly length: number;
  readonly unit: string;
}

/**
 * The pixel size from what a file says per axis, in the unit of x. Undefined where x or y are missing, counted in pixels or
 * in units that cannot be compared; without z where that is so.
 */
export function pixelSizeFrom(axes: {
  readonly z?: Length;
  readonly y?: Length;
  readonly x?: Length;
}): ImageSource['pixelSize'] {
  if (axes.x === undefined || isNoLength(axes.x.unit)) return undefined;
  const unit = canonicalUnit(axes.x.unit);
  const inUnit = (size: Length | undefined) => {
    if (size === undefined || !(size.length > 0) || !Number.isFinite(size.length)) return undefined;
    if (canonicalUnit(size.unit) === unit) return size.length;
    const [from, to] = [metresPer(size.unit), metresPer(unit)];
    return from === undefined || to === undefined ? undefined : Number(((size.length * from) / to).toPrecision(12));
  };
  const [z, y, x] = [axes.z, axes.y, axes.x].map(inUnit);
  return x === undefined || y === undefined ? undefined : { y, x, ...(z === undefined ? {} : { z }), unit };
}
