import * as v from 'valibot';
import { SamError } from '../../errors.js';
import { hasMembers } from '../../items.js';
import type { ChannelInfo, ImageSource } from '../image.js';
import { pixelSizeFrom } from '../pixel-size-of.js';

/**
 * OME-Zarr metadata, 0.1 to 0.5 (ngff.openmicroscopy.org): where the resolution levels are, what the axes mean, pixel
 * size and channel colours. Only what is understood is required; the rest may be anything.
 */
const Transformations = v.nullish(
  v.array(v.looseObject({ type: v.string(), scale: v.optional(v.array(v.unknown())) })),
);
const Axis = v.union([
  v.pipe(
    v.string(),
    v.transform((name): { name: string; type?: string; unit?: string } => ({ name })),
  ),
  v.object({ name: v.string(), type: v.nullish(v.string()), unit: v.nullish(v.string()) }),
]);
const Multiscale = v.object({
  name: v.optional(v.unknown()),
  axes: v.optional(v.array(Axis)),
  datasets: v.pipe(v.array(v.object({ path: v.string(), coordinateTransformations: Transformations })), v.minLength(1)),
  coordinateTransformations: Transformations,
});
const Omero = v.object({
  channels: v.array(
    v.object({ label: v.optional(v.unknown()), color: v.optional(v.unknown()), window: v.optional(v.unknown()) }),
  ),
});
const Finite = v.pipe(v.number(), v.finite());
const Limits = v.object({ start: Finite, end: Finite });

export interface OmeZarrImage {
  readonly name: string | undefined;
  /** One letter of `tczyx` per axis of the arrays; undefined where the metadata leave it to the shape (0.1, 0.2). */
  readonly axes: string | undefined;
  /** The resolution levels, in the order of the metadata. */
  readonly levels: readonly { readonly path: string; readonly pixelSize: ImageSource['pixelSize'] }[];
  readonly channels: readonly Partial<ChannelInfo>[];
}

type Attributes = Readonly<Record<string, unknown>>;

/** The part of a group's attributes that OME-Zarr owns: under `ome` since 0.5, at the top before. */
export function omeAttributes(attributes: Attributes): Attributes {
  const { ome } = attributes;
  return hasMembers(ome) ? ome : attributes;
}

/** The images a group describes; none if it is not an OME-Zarr image. */
export function omeZarrImages(attributes: Attributes, where: string): OmeZarrImage[] {
  const own = omeAttributes(attributes);
  if (own.multiscales === undefined) return [];
  const parsed = v.safeParse(v.pipe(v.array(Multiscale), v.minLength(1)), own.multiscales);
  if (!parsed.success)
    throw new SamError(
      'invalid_image',
      `The OME-Zarr metadata of ${where} are damaged: ${parsed.issues[0].message} (${v.getDotPath(parsed.issues[0]) ?? 'multiscales'}).`,
    );
  const omero = v.safeParse(Omero, own.omero);
  return parsed.output.map((image) => ({
    name: typeof image.name === 'string' ? image.name : undefined,
    axes: image.axes ? axisLetters(image.axes, where) : undefined,
    levels: image.datasets.map((dataset) => ({
      path: relativePath(dataset.path, where),
      pixelSize: pixelSizeOf(image, dataset),
    })),
    channels: omero.success ? omero.output.channels.map(channelOf) : [],
  }));
}

function axisLetters(axes: readonly { name: string; type?: string | null }[], where: string): string {
  const letters = axes.map((axis) => axisLetter(axis, where)).join('');
  if (new Set(letters).size === letters.length) return letters;
  throw new SamError('invalid_image', `${where} has the axes "${letters}", of which each can be there once.`);
}

function axisLetter({ name, type }: { name: string; type?: string | null }, where: string): string {
  const letter = name.toLowerCase();
  if (['t', 'c', 'z', 'y', 'x'].includes(letter)) return letter;
  if (type === 'time') return 't';
  if (type === 'channel') return 'c';
  throw new SamError('unsupported', `${where} has an axis "${name}", which is not read; t, c, z, y and x are.`);
}

/** Some write `/0` or `./0/` for `0`. */
function relativePath(path: string, where: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length > 0 && !parts.includes('..') && !/[\\\0]/.test(path)) return parts.join('/');
  throw new SamError(
    'invalid_image',
    `${where} names the resolution level ${JSON.stringify(path)}; it should be a path inside it such as "0".`,
  );
}

type Multiscale = v.InferOutput<typeof Multiscale>;

function pixelSizeOf(image: Multiscale, dataset: Multiscale['datasets'][number]): ImageSource['pixelSize'] {
  const scaleOf = (transformations: v.InferOutput<typeof Transformations>) =>
    transformations?.find(({ type }) => type === 'scale')?.scale;
  const own = scaleOf(dataset.coordinateTransformations);
  const all = scaleOf(image.coordinateTransformations);
  if (image.axes === undefined || own === undefined) return undefined;
  const axes = image.axes.map((axis, i) => ({ ...axis, length: Number(own[i]) * Number(all?.[i] ?? 1) }));
  const of = (letter: string) => {
    const axis = axes.find(({ name }) => name.toLowerCase() === letter);
    return axis?.unit ? { length: axis.length, unit: axis.unit } : undefined;
  };
  return pixelSizeFrom({ z: of('z'), y: of('y'), x: of('x') });
}

function channelOf(channel: v.InferOutput<typeof Omero>['channels'][number]): Partial<ChannelInfo> {
  const { label, color, window } = channel;
  const hex = typeof color === 'string' ? /^#?([0-9a-f]{6})/i.exec(color)?.[1] : undefined;
  const limits = v.safeParse(Limits, window);
  return {
    ...(typeof label === 'string' || typeof label === 'number' ? { name: String(label) } : {}),
    ...(hex ? { color: `#${hex.toLowerCase()}` } : {}),
    ...(limits.success && limits.output.end > limits.output.start
      ? { limits: [limits.output.start, limits.output.end] as const }
      : {}),
  };
}
