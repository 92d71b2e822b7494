import { membersOf } from '../../items.js';
import { guessAxes } from '../ndarray.js';
import { type Attributes, textOf } from './attributes.js';

/**
 * What the axes of a dataset mean: ilastik and vigra say so in `axistags`, h5py's dimension labels in `DIMENSION_LABELS`;
 * MATLAB means its own order. Without any of these, or where they do not fit the shape, the shape is read as people write
 * arrays (ndarray.ts).
 */
export interface DatasetAxes {
  /** One letter of `tczyx` per axis, or `s` for the samples of a colour picture. */
  readonly letters: string;
  /** What was said of the axes and does not fit. */
  readonly notices: readonly string[];
}

export function datasetAxes(attributes: Attributes, shape: readonly number[], where: string): DatasetAxes {
  const notices: string[] = [];
  for (const [attribute, keys] of statedAxes(attributes)) {
    const letters = keys?.map((key) => key.trim().toLowerCase()).join('');
    if (letters !== undefined && fits(letters, shape)) return { letters, notices };
    notices.push(
      `The attribute ${attribute} of ${where} says "${keys?.join(' ') ?? 'nothing that is understood'}", which does not fit its shape [${shape}]; the axes are inferred from the shape.`,
    );
  }
  if (textOf(attributes, 'MATLAB_class') !== undefined) return { letters: matlabAxes(shape, where), notices };
  return { letters: guessAxes(shape, where), notices };
}

/** MATLAB counts rows first and stores its arrays the other way round: y, x, z, c, t there is t, c, z, x, y here. */
function matlabAxes(shape: readonly number[], where: string): string {
  const own = shape.toReversed();
  if (own.length < 3 || own.length > 5) return [...guessAxes(own, where)].reverse().join('');
  const colour = own[2] === 3 && own[1] !== 3 && own.length < 5;
  const rest = own.length === 3 ? '' : own.length === 4 ? 't' : 'ct';
  return [...`yx${colour ? 's' : 'z'}${rest}`].reverse().join('');
}

function* statedAxes(attributes: Attributes): Generator<[attribute: string, keys: readonly string[] | undefined]> {
  const tags = textOf(attributes, 'axistags');
  if (tags !== undefined) yield ['axistags', axisKeys(tags)];
  const labels = Object.hasOwn(attributes, 'DIMENSION_LABELS') ? attributes.DIMENSION_LABELS : undefined;
  // Labels in words, or left empty, are usual and mean nothing here.
  if (labels?.every((label) => /^[tczyx]$/i.test(String(label)))) yield ['DIMENSION_LABELS', labels.map(String)];
}

/** The keys of vigra's `{"axes": [{"key": "z", ...}, ...]}`. */
function axisKeys(json: string): string[] | undefined {
  try {
    const { axes } = membersOf(JSON.parse(json));
    if (!Array.isArray(axes)) return undefined;
    return axes.map((axis) => String(membersOf(axis).key));
  } catch {
    return undefined;
  }
}

function fits(letters: string, shape: readonly number[]): boolean {
  return /^[tczyx]+$/.test(letters) && new Set(letters).size === letters.length && letters.length === shape.length;
}
