import path from 'node:path';
import type { ParseArgsConfig } from 'node:util';
import { publishedCheckpoint } from '../checkpoints/published.js';
import { type ImageEmbeddings, openEmbeddings } from '../embeddings/image-embeddings.js';
import type { EmbeddingOptions } from '../embeddings/options.js';
import { checkTiles, type TileChoice } from '../embeddings/tiling.js';
import { stemOf } from '../io/folder/file-names.js';
import type { ImageSource } from '../io/image.js';
import { openFile } from '../io/node-open.js';
import { micrometres, type PixelSize } from '../io/pixel-size.js';
import { folderStore } from '../io/stores/fs.js';
import { itemAt } from '../items.js';
import { type IntensityPolicy, MIN_MAX, PERCENTILE_1_99 } from '../model/intensity.js';
import { ENCODER_PRECISIONS, type EncoderPrecision, type ModelSpec } from '../model/model-spec.js';
import { DEFAULT_MODEL, modelNames, resolveModel } from '../model/registry.js';
import type { TaskOptions } from '../task.js';
import { createNodeWorker, DEVICES, isDevice } from '../worker/hosts/node-worker.js';
import { connectFromNode } from '../worker/hosts/websocket-client.js';
import { poolWorker } from '../worker/pool.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { ProgressLine } from './batch/progress-line.js';
import { UsageError } from './command.js';
import { importedModels, importModel } from './imported-models.js';
import { othersIn } from './label-files.js';
import { userDataFolder } from './serve/user-data.js';
import { findModel } from './train/trained-models.js';

/**
 * What every command that runs the model shares: its flags, the worker, and how a file becomes an image with embeddings.
 * Flags are spelled as micro-sam spells them; where it takes two numbers (`--tile_shape 512 512`), so do we.
 */
export const MODEL_FLAGS = {
  model_type: { type: 'string', short: 'm', default: DEFAULT_MODEL },
  checkpoint: { type: 'string', short: 'c', multiple: true },
  instances: { type: 'string' },
  encoder_precision: { type: 'string', default: 'float32' },
  embedding_path: { type: 'string', short: 'e' },
  half: { type: 'boolean', default: false },
  key: { type: 'string', short: 'k' },
  series: { type: 'string' },
  tile_shape: { type: 'string' },
  halo: { type: 'string' },
  object_diameter: { type: 'string' },
  intensity: { type: 'string', default: 'min-max' },
  channels: { type: 'string' },
  pixel_size: { type: 'string' },
  device: { type: 'string', short: 'd' },
  worker: { type: 'string', multiple: true },
  threads: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

export const MODEL_USAGE = `
  -m, --model_type NAME      model (default: ${DEFAULT_MODEL}); micro-sam info lists them; or one that was trained or
                             imported; a published one of micro-sam (vit_b_lm, …) is fetched when first asked for
  -c, --checkpoint FILE      encoder and decoder ONNX files of another model: give it twice; a checkpoint of PyTorch
                             (.pt) is made a model with micro-sam import_model
      --instances FILE       instance decoder ONNX file that goes with the model
      --encoder_precision P  float32, or int8: about 0.7 of the time on processors, the masks nearly the same
  -e, --embedding_path DIR   keep embeddings here, in micro-sam's format, and reuse them
      --half                 keep them in half precision: half the size, rounded to 3 digits
  -k, --key KEY              dataset inside an HDF5, zarr or npz file
      --series N             which image of files that hold several, from 0 (default: the first)
      --tile_shape Y X       tiles of this many pixels; default: chosen by size
      --halo Y X             overlap of the tiles on each side
      --object_diameter PX   typical object size; small objects get smaller tiles
      --intensity HOW        min-max (micro-sam), percentile (1-99), or LOW,HIGH
      --channels LIST        channels given to the model, e.g. 0,2
      --pixel_size Z Y X     in micrometres, for measurements, whatever the file says; without Z for planes
  -d, --device NAME          auto, cpu, cuda, webgpu or wasm (default: auto)
      --worker URL           run on this worker (ws://… or hypha://…); several make a pool
      --threads N            threads of the model in this process`;

/** Parsed values of MODEL_FLAGS. */
export interface EngineFlags {
  readonly model_type?: string;
  readonly checkpoint?: string[];
  readonly instances?: string;
  readonly encoder_precision?: string;
  readonly embedding_path?: string;
  readonly half?: boolean;
  readonly key?: string;
  readonly series?: string;
  readonly tile_shape?: string;
  readonly halo?: string;
  readonly object_diameter?: string;
  readonly intensity?: string;
  readonly channels?: string;
  readonly pixel_size?: string;
  readonly device?: string;
  readonly worker?: string[];
  readonly threads?: string;
}

/** The model of a command, where it runs, and what it makes of files. */
export interface ModelInUse {
  readonly worker: SamWorker;
  readonly model: ModelSpec;
  open(file: string, task?: TaskOptions): Promise<ImageSource>;
  /** Embeddings of an image; kept on disk if the user gave a folder. `name` tells the images of a batch apart. */
  embeddings(source: ImageSource, name: string, task?: TaskOptions): Promise<ImageEmbeddings>;
  close(): Promise<void>;
}

/** Flags that take several numbers are joined, so that `parseArgs` sees one value: --halo 64 64 → --halo=64,64. */
export function joinNumbers(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const flag = itemAt(args, i);
    const most = Object.hasOwn(NUMBERS_OF, flag) ? NUMBERS_OF[flag] : undefined;
    if (most === undefined) {
      joined.push(flag);
      continue;
    }
    const numbers = [args[i + 1] ?? ''];
    for (const next of args.slice(i + 2, i + 1 + most)) {
      if (!/^\d*\.?\d+$/.test(next)) break;
      numbers.push(next);
    }
    joined.push(`${flag}=${numbers.join(',')}`);
    i += numbers.length;
  }
  return joined;
}

const NUMBERS_OF: Readonly<Record<string, number>> = { '--tile_shape': 2, '--halo': 2, '--pixel_size': 3 };

export function numberFlag(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`--${name} takes a number, not "${text}".`);
  return value;
}

function pairFlag(name: string, text: string | undefined): [number, number] | undefined {
  if (text === undefined) return undefined;
  const [y, x = y, ...more] = text.split(',').map(Number);
  const isWhole = (value: number | undefined): value is number => Number.isInteger(value) && Number(value) >= 0;
  if (!isWhole(y) || !isWhole(x) || more.length > 0) {
    throw new UsageError(`--${name} takes two whole numbers (y x), not "${text.replace(',', ' ')}".`);
  }
  return [y, x];
}

function tilingFlags(flags: EngineFlags): TileChoice | 'none' | undefined {
  const tileShape = pairFlag('tile_shape', flags.tile_shape);
  const halo = pairFlag('halo', flags.halo);
  if (!tileShape) {
    if (halo) throw new UsageError('--halo needs --tile_shape.');
    return undefined;
  }
  return tileShape[0] === 0 ? 'none' : checkTiles({ tileShape, halo: halo ?? [0, 0] });
}

function intensityFlag(text: string | undefined): IntensityPolicy | undefined {
  if (text === undefined || text === 'min-max') return text && MIN_MAX;
  if (text === 'percentile') return PERCENTILE_1_99;
  const [low, high] = text.split(',').map(Number);
  if (low !== undefined && high !== undefined && low < high) return { kind: 'fixed', ranges: [[low, high]] };
  throw new UsageError(`--intensity is min-max, percentile or LOW,HIGH, not "${text}".`);
}

function pixelSizeFlag(text: string | undefined): PixelSize | undefined {
  if (text === undefined) return undefined;
  const sizes = text.split(',').map(Number);
  if (sizes.length > 3 || !sizes.every((size) => size > 0 && Number.isFinite(size)))
    throw new UsageError(`--pixel_size takes micrometres (z y x, or y x), not "${text.replaceAll(',', ' ')}".`);
  return micrometres(sizes);
}

function channelsFlag(text: string | undefined): number[] | undefined {
  const channels = text?.split(',').map(Number);
  if (channels?.every((channel) => Number.isInteger(channel) && channel >= 0) ?? true) return channels;
  throw new UsageError(`--channels takes numbers from 0 with commas, not "${text}".`);
}

function seriesFlag(text: string | undefined): number | undefined {
  const series = numberFlag('series', text);
  if (series === undefined || (Number.isInteger(series) && series >= 0)) return series;
  throw new UsageError(`--series takes a whole number from 0, not "${text}".`);
}

/** Of a file that holds several images, nobody said which one. */
function tellingOfOthers(source: ImageSource): ImageSource {
  const others = othersIn(source);
  return others ? { ...source, notices: [...(source.notices ?? []), `${others}: --series takes another.`] } : source;
}

async function modelFlag(flags: EngineFlags): Promise<ModelSpec> {
  const { checkpoint = [], model_type = DEFAULT_MODEL, instances } = flags;
  const pytorch = checkpoint.find((file) => /\.(pt|pth|safetensors)$/i.test(file));
  if (pytorch !== undefined)
    throw new UsageError(`${pytorch} is a checkpoint of PyTorch: micro-sam import_model ${pytorch}, then -m its name.`);
  if (checkpoint.length === 0) {
    const model = await namedModel(model_type);
    return instances ? resolveModel({ name: model.name, instances }) : model;
  }
  const [encoder, decoder, ...more] = checkpoint;
  if (encoder === undefined || decoder === undefined || more.length > 0) {
    throw new UsageError('-c is given twice: the encoder ONNX file, then the decoder ONNX file.');
  }
  return resolveModel({
    name: model_type === DEFAULT_MODEL ? stemOf(encoder) : model_type,
    encoder,
    decoder,
    instances,
  });
}

function precisionFlag(text: string | undefined): EncoderPrecision | undefined {
  const known = ENCODER_PRECISIONS.find((precision) => precision === text);
  if (known ?? text === undefined) return known;
  throw new UsageError(`--encoder_precision is ${ENCODER_PRECISIONS.join(' or ')}, not "${text}".`);
}

/** A model by its name or its folder; a published one is fetched when it is first asked for. */
export async function namedModel(name: string): Promise<ModelSpec> {
  await fetchPublished(name);
  return findModel(name);
}

/** Imports a published checkpoint that is asked for by name for the first time. */
async function fetchPublished(name: string): Promise<void> {
  if (modelNames().includes(name) || !publishedCheckpoint(name) || importedModels().includes(name)) return;
  console.error(`${name} is fetched and converted, once.`);
  const progress = new ProgressLine();
  progress.start();
  await importModel(name, { onProgress: (each) => progress.update(each) });
}

async function workerFlag(flags: EngineFlags): Promise<SamWorker> {
  const urls = flags.worker ?? [];
  if (urls.length > 0) {
    const workers = await Promise.all(urls.map((url) => connectFromNode(url)));
    const [only, ...more] = workers;
    return only && more.length === 0 ? only : poolWorker(workers);
  }
  const device = flags.device ?? 'auto';
  const store = folderStore(path.join(userDataFolder(), 'models'));
  const threads = numberFlag('threads', flags.threads);
  if (isDevice(device)) return createNodeWorker({ store, threads, device });
  throw new UsageError(`--device is ${DEVICES.join(', ')}, not "${device}".`);
}

/** Which device did the work, and why not the one that was asked for. */
async function tellDevice(worker: SamWorker): Promise<void> {
  const info = await worker.info().catch(() => undefined);
  if (!info || info.loaded.length === 0) return;
  console.error(`Computed by ${info.runtime} on ${info.provider}.${info.note ? ` ${info.note}` : ''}`);
}

export async function startModel(flags: EngineFlags): Promise<ModelInUse> {
  const settings: Partial<EmbeddingOptions> = {
    tiling: tilingFlags(flags),
    objectDiameter: numberFlag('object_diameter', flags.object_diameter),
    intensity: intensityFlag(flags.intensity),
    channels: channelsFlag(flags.channels),
    half: flags.half,
    early: true, // who keeps embeddings for later commands wants all that those need
  };
  const pixelSize = pixelSizeFlag(flags.pixel_size);
  const series = seriesFlag(flags.series);
  const model = { ...(await modelFlag(flags)), encoderPrecision: precisionFlag(flags.encoder_precision) };
  const worker = await workerFlag(flags);
  return {
    worker,
    model,
    async open(file, task) {
      const source = await openFile(file, { key: flags.key, series, pixelSize, ...task });
      return flags.key === undefined && series === undefined ? tellingOfOthers(source) : source;
    },
    embeddings: (source, name, task) =>
      openEmbeddings(
        {
          source,
          worker,
          model,
          ...settings,
          store: flags.embedding_path ? folderStore(path.join(flags.embedding_path, `${name}.zarr`)) : undefined,
        },
        task,
      ),
    async close() {
      await tellDevice(worker);
      await worker.close();
    },
  };
}
