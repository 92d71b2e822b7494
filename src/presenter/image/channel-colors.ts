import type { ImageSource } from '../../io/image.js';
import { itemAt } from '../../items.js';

/**
 * The colours of channels before anybody chose: what the file says; else by the dye, protein or wavelength in their names, or
 * the emission wavelength that the file states; else colours that stay apart. Transmitted light is grey.
 */
export function channelColors({ channels }: Pick<ImageSource, 'channels'>, shown: readonly number[]): string[] {
  if (shown.length === 1) return [GREY];
  const facts = shown.map((channel) => itemAt(channels, channel));
  const stated = facts.map(({ color }) => color);
  // Many programs write white, or one colour, for every channel.
  const told = new Set(stated).size > 1;
  const colors = facts.map(
    ({ name, color, wavelength }) => (told && color) || colorOfName(name) || colorOfWavelength(wavelength),
  );
  const known = colors.filter((color) => color !== undefined);
  const palette = shown.length === 3 && known.length === 0 ? THREE : PALETTE;
  const free = palette.filter((color) => !known.includes(color));
  let next = 0;
  return colors.map((color, i) => {
    const twice = color !== undefined && !(told && stated[i]) && colors.indexOf(color) !== i && color !== GREY;
    if (color !== undefined && !twice) return color;
    return free.length > 0 ? itemAt(free, next++ % free.length) : itemAt(palette, i % palette.length);
  });
}

const GREY = '#ffffff';
/** Three equal channels make grey, and look as the model is given them. */
const THREE = ['#ff0000', '#00ff00', '#0000ff'];
/** Colours that stay apart when they add up, for people with any colour vision as far as seven colours can. */
const PALETTE = ['#00ff00', '#ff00ff', '#00ffff', '#ffff00', '#ff0000', '#4060ff', '#ff8000'];

const [BLUE, CYAN, GREEN, YELLOW, RED, FAR_RED] = ['#4060ff', '#00ffff', '#00ff00', '#ffff00', '#ff0000', '#ff00ff'];

/** The first that fits a part of the name; numbers are those of Alexa, Atto and other dyes, or of the laser. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/\b(bf|dic|phase|brightfield|bright field|transmitted|trans|tl|ph\d?)\b|brightfield/i, GREY],
  [/dapi|hoechst|\bbfp\b|alexa ?350|\bviolet\b|\bblue\b/i, BLUE],
  [/\bcfp\b|cerulean|turquoise|\bcyan\b/i, CYAN],
  [/\be?gfp|fitc|\bgreen\b|gcamp|mneongreen|calcein|fluorescein|oregon/i, GREEN],
  [/\be?yfp|venus|citrine|\byellow\b/i, YELLOW],
  [/\bm?rfp|mcherry|cherry|tritc|texas|tdtomato|dsred|rhodamine|mscarlet|mruby|propidium|\bcy3(\.5)?\b|\bred\b/i, RED],
  [/\bcy5(\.5)?\b|\bcy7\b|irfp|mirfp|far[- ]?red|draq5|\bmagenta\b/i, FAR_RED],
];

function colorOfName(name: string): string | undefined {
  const text = name.replaceAll('_', ' ');
  const named = NAMES.find(([pattern]) => pattern.test(text))?.[1];
  if (named) return named;
  const [, number] = /\b(?:alexa(?: ?fluor)? ?|af|atto ?|ex ?|em ?|laser ?)?(\d{3})(?: ?nm)?\b/i.exec(text) ?? [];
  return number === undefined ? undefined : colorOfDye(Number(number));
}

/** By the number in a dye's name or of its laser: excitation. */
function colorOfDye(nanometres: number): string | undefined {
  if (nanometres < 350 || nanometres > 800) return undefined;
  if (nanometres < 430) return BLUE;
  if (nanometres < 470) return CYAN;
  if (nanometres < 510) return GREEN;
  if (nanometres < 540) return YELLOW;
  return nanometres < 620 ? RED : FAR_RED;
}

/** Emission. */
function colorOfWavelength(nanometres: number | undefined): string | undefined {
  if (nanometres === undefined || !(nanometres >= 380 && nanometres <= 900)) return undefined;
  if (nanometres < 475) return BLUE;
  if (nanometres < 497) return CYAN;
  if (nanometres < 540) return GREEN;
  if (nanometres < 570) return YELLOW;
  return nanometres < 645 ? RED : FAR_RED;
}
