import { createHash } from 'node:crypto';
import { type ModelFile, type ModelSpec, networksOf } from '../../model/model-spec.js';

/**
 * What results were made with, as their record notes it: for each flag that changes them what it was given. So a run with
 * other settings does not take the results of an earlier one for its own.
 */
export type ResultSettings = Readonly<Record<string, string>>;

/** Flags of the model and of the image that change what is found in it, or what is measured. */
const IMAGE_FLAGS = [
  'encoder_precision',
  'key',
  'series',
  'tile_shape',
  'halo',
  'object_diameter',
  'intensity',
  'channels',
  'pixel_size',
] as const;

type Flags = Readonly<Record<string, unknown>>;

/**
 * @param flags parsed values of the command line
 * @param names of the command's own flags that change its results
 */
export function resultSettings(model: ModelSpec, flags: Flags, names: readonly string[]): ResultSettings {
  const given = [...IMAGE_FLAGS, ...names].flatMap((name): [string, string][] => {
    const value = flags[name];
    if (value === undefined || value === false) return [];
    const text = String(value);
    const number = Number(text);
    return [[name, text.trim() === '' || Number.isNaN(number) ? text : String(number)]];
  });
  return { model_type: model.name, [FILES]: modelDigest(model), ...Object.fromEntries(given) };
}

/** How one differs from the other, for people: '--mode amg, not ais'; empty if it does not. */
export function describeChanges(before: ResultSettings, now: ResultSettings): string {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  const changed = [...names].filter((name) => before[name] !== now[name]);
  // Another model has other files, as is to be expected.
  const told = changed.filter((name) => name !== FILES || !changed.includes('model_type'));
  return told.map((name) => change(name, before, now)).join(', ');
}

const FILES = 'files';

function change(name: string, before: ResultSettings, now: ResultSettings): string {
  if (name === FILES) return `the model ${now.model_type} was another one then`;
  if (now[name] === 'true') return `without --${name}`;
  if (before[name] === 'true') return `with --${name}`;
  const then = before[name];
  return then === undefined ? `without --${name} ${now[name]}` : `--${name} ${then}`;
}

/** The same wherever the files of the model lie, as far as what is in them is known. */
function modelDigest(model: ModelSpec): string {
  const { defaults, following, objectSizes, pointsByInstances } = model;
  const files = networksOf(model).map((file) => file && identityOf(file));
  const parts = [files, defaults, following, objectSizes, pointsByInstances];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function identityOf({ url, sha256, digest, bytes }: ModelFile): string {
  return sha256 ?? digest ?? `${url.replace(/^.*[\\/]/, '')} ${bytes ?? ''}`;
}
