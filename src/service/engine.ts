import * as v from 'valibot';
import { checkTiles } from '../embeddings/tiling.js';
import { SamError } from '../errors.js';
import { micrometres, type PixelSize } from '../io/pixel-size.js';
import type { IntensityPolicy } from '../model/intensity.js';
import { MODEL_NAME, MODEL_NAME_RULE, type ModelDeclaration, modelNames, resolveModel } from '../model/registry.js';
import type { Size } from '../ndimage/array.js';
import { unshared } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { method } from './call.js';
import { bytesSchema, tensorSchema } from './image.js';
import { declarationSchema } from './model-declaration.js';
import { type RunningCalls, TASK_ARGUMENTS } from './running-calls.js';

/**
 * Where and with what the model runs, over RPC: which model, how the image is shown to it, where it computes. None of it
 * touches prompts or objects.
 */
export interface EngineDeps {
  readonly precompute?: PrecomputePlanes;
  /** Uses the worker at this address; without one, the page's own. Resolves with what it says of itself. */
  connectWorker?(url: string | undefined): Promise<Record<string, unknown>>;
  /** Changes how the image goes to the model; embeddings are made anew. */
  setEncoding?(change: EncodingChange): Promise<void>;
  /** Makes a model of a checkpoint, which is known from then on; resolves with its name. */
  importModel?(request: ImportRequest, task: TaskOptions): Promise<string>;
  /** Deletes a model that was imported. */
  deleteModel?(name: string): Promise<void>;
}

/**
 * Encodes these planes (default: all) and keeps the embeddings.
 *
 * @param onPlane is told of each plane that is there with all its tiles
 */
export type PrecomputePlanes = (
  planes: readonly number[] | undefined,
  task: TaskOptions,
  onPlane?: (plane: number) => void,
) => Promise<void>;

export interface ImportRequest {
  /** Files that make one model, in any order: its checkpoint, and its instance decoder if that is a file of its own. */
  readonly from: readonly (Blob | string)[];
  readonly name?: string;
  readonly half?: boolean;
}

/** What is absent stays as it is; null is the automatic choice. */
export interface EncodingChange {
  readonly model?: string;
  readonly channels?: readonly number[] | null;
  readonly intensity?: IntensityPolicy | null;
  readonly tiling?: { readonly tileShape: Size; readonly halo: Size } | 'none' | null;
  /** Typical diameter of the objects, in pixels. */
  readonly objectDiameter?: number | null;
  /** Physical size of a pixel; null: what the file says. Embeddings stay. */
  readonly pixelSize?: PixelSize | null;
}

const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const number = v.pipe(v.number(), v.finite());
const length = v.pipe(v.number(), v.integer(), v.minValue(1));
const positive = v.pipe(number, v.gtValue(0));
const pair = v.tuple([number, number]);
export const tileShape = v.tuple([length, length], 'expected [y, x] in pixels');
export const halo = v.tuple([natural, natural], 'expected [y, x] in pixels');

/** A checkpoint as callers hand it over; bytes have no name, so that theirs has to be given. */
const checkpointSchema = v.union(
  [
    v.pipe(v.string(), v.nonEmpty()),
    v.instance(Blob),
    v.pipe(
      bytesSchema,
      v.transform((bytes) => new Blob([unshared(bytes)])),
    ),
    v.pipe(
      tensorSchema,
      v.transform(({ data }) => data),
      v.instance(Uint8Array, 'expected uint8'),
      v.transform((bytes) => new Blob([unshared(bytes)])),
    ),
  ],
  'expected an address, the name of a published model, a File or its bytes',
);

const schemas = {
  none: v.strictObject({}),
  connect: v.strictObject({ url: v.optional(v.string()) }),
  load_model: v.strictObject({
    model: v.union(
      [v.string(), declarationSchema],
      'expected the name of a model, or { name, encoder, decoder, instances } with the addresses of its ONNX files',
    ),
  }),
  import_model: v.strictObject({
    checkpoint: checkpointSchema,
    decoder: v.optional(checkpointSchema),
    name: v.optional(v.pipe(v.string(), v.regex(MODEL_NAME, MODEL_NAME_RULE))),
    half: v.optional(v.boolean()),
    ...TASK_ARGUMENTS,
  }),
  delete_model: v.strictObject({ name: v.string() }),
  encoding: v.strictObject({
    channels: v.optional(v.nullable(v.pipe(v.array(natural), v.minLength(1)))),
    intensity: v.optional(
      v.nullable(
        v.variant('kind', [
          v.strictObject({ kind: v.literal('min-max') }),
          v.strictObject({ kind: v.literal('percentile'), low: number, high: number }),
          v.strictObject({ kind: v.literal('fixed'), ranges: v.pipe(v.array(pair), v.minLength(1)) }),
        ]),
      ),
    ),
    tile_shape: v.optional(v.nullable(tileShape)),
    halo: v.optional(halo),
    tiling: v.optional(v.picklist(['auto', 'none'])),
    object_diameter: v.optional(v.nullable(v.pipe(number, v.minValue(1)))),
    pixel_size: v.optional(
      v.nullable(
        v.union(
          [v.tuple([positive, positive]), v.tuple([positive, positive, positive])],
          'expected [z, y, x] or [y, x]',
        ),
      ),
    ),
  }),
};

export function engineFunctions(deps: EngineDeps, calls: RunningCalls) {
  return {
    /** `ws://host:port/?token=…` of a process started with `micro-sam worker`, or `hypha://…` of one on Hypha; nothing: the page's own worker. */
    connect_worker: method('connect_worker', ['url'], schemas.connect, ({ url }) => needed(deps.connectWorker)(url)),
    get_model_names: method('get_model_names', [], schemas.none, () => modelNames()),
    list_models: method('list_models', [], schemas.none, () => modelNames().map(describeModel)),
    /**
     * Makes a model of a checkpoint of PyTorch, safetensors or a bioimage.io package: an address, the name of a published one,
     * a File or its bytes; in the service of a process also a path. `load_model` and `model_type` take the name that is
     * told; an earlier import of the name that is asked for is replaced.
     */
    import_model: method(
      'import_model',
      ['checkpoint', 'decoder'],
      schemas.import_model,
      ({ checkpoint, decoder, name, half, ...given }) =>
        calls.run(given, async (task) => {
          const from = decoder === undefined ? [checkpoint] : [checkpoint, decoder];
          const isNameless = checkpoint instanceof Blob && !(checkpoint instanceof File);
          if (isNameless && name === undefined)
            throw new SamError('invalid_argument', 'Bytes have no name: give the model one (name).');
          return describeModel(await needed(deps.importModel)({ from, name, half }, task));
        }),
    ),
    delete_model: method('delete_model', ['name'], schemas.delete_model, ({ name }) => needed(deps.deleteModel)(name)),
    /**
     * By name, or by declaration: `{ name, encoder, decoder, instances }` with the addresses of ONNX files, the instance
     * decoder being optional, and `family` where another exporter wrote them; `{ name, instances }` adds one to a model.
     */
    load_model: method('load_model', ['model'], schemas.load_model, async ({ model }) => {
      const spec = resolveModel(model as string | ModelDeclaration);
      await needed(deps.setEncoding)({ model: spec.name });
    }),
    /** How the image goes to the model, and its pixel size in µm. Committed objects and prompts stay. */
    set_image_settings: method('set_image_settings', [], schemas.encoding, (given) => {
      const change = encodingOf(given);
      return needed(deps.setEncoding)(change);
    }),
  };
}

function describeModel(name: string) {
  const { description, licence = null, instances } = resolveModel(name);
  return { name, description, licence, instances: instances !== undefined };
}

export function encodingOf(given: v.InferOutput<typeof schemas.encoding>): EncodingChange {
  const { channels, intensity, tile_shape, halo, tiling, object_diameter, pixel_size } = given;
  if (halo && !tile_shape) throw new SamError('invalid_argument', 'A halo needs a tile_shape.');
  const tiles = tile_shape ? checkTiles({ tileShape: tile_shape, halo: halo ?? [0, 0] }) : undefined;
  return {
    ...(channels !== undefined && { channels }),
    ...(intensity !== undefined && { intensity }),
    ...(tiles && { tiling: tiles }),
    ...(tiling !== undefined && { tiling: tiling === 'none' ? ('none' as const) : null }),
    ...(object_diameter !== undefined && { objectDiameter: object_diameter }),
    ...(pixel_size !== undefined && { pixelSize: pixel_size && micrometres(pixel_size) }),
  };
}

export function needed<F>(does: F | undefined): F {
  if (does === undefined) throw new SamError('unsupported', 'This program offers no choice of models and workers.');
  return does;
}
