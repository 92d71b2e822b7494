import { itemAt } from '../items.js';

/**
 * Colours of objects: distinct, and the same for an id for as long as the shuffle is the same, so that an object keeps
 * its colour while others come and go.
 */

/** @param shuffle any integer; another one gives other colours. Returns '#rrggbb'. */
export function colorOf(id: number, shuffle = 0): string {
  const turn = fraction(id * GOLDEN + fraction(shuffle * 0.754877666) + 0.13);
  const { saturation, lightness } = itemAt(SHADES, (id + shuffle) % SHADES.length);
  return hslToHex(turn, saturation, lightness);
}

const SHADES = [
  { saturation: 0.9, lightness: 0.55 },
  { saturation: 0.7, lightness: 0.65 },
  { saturation: 0.8, lightness: 0.45 },
] as const;

/** micro-sam shows the object in work in one colour. */
export const CURRENT_COLOR = '#ffd400';

/** Objects that were chosen to be changed together; no object has it by itself. */
export const SELECTED_COLOR = '#ffffff';

/** Successive multiples of it are as far apart on the circle as can be. */
const GOLDEN = 0.61803398875;

function fraction(value: number): number {
  return value - Math.floor(value);
}

function hslToHex(hue: number, saturation: number, lightness: number): string {
  const amplitude = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const k = (offset + hue * 12) % 12;
    const value = lightness - amplitude * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
