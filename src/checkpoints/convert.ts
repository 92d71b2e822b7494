import { SamError } from '../errors.js';
import type { Constant } from '../onnx/graph.js';
import { emitUnetr } from '../onnx/instances/emit-unetr.js';
import type { OnnxModel } from '../onnx/model.js';
import { emitOfficialDecoder } from '../onnx/sam/emit-official.js';
import { emitTinyVit } from '../onnx/sam/emit-tiny-vit.js';
import { emitVit } from '../onnx/sam/emit-vit.js';
import { type FileParts, modelFiles } from '../onnx/write-parts.js';
import type { TaskOptions } from '../task.js';
import type { Checkpoint } from './checkpoint.js';
import { readDecoderWeights } from './decoder-weights.js';
import { withHalfWeights } from './half-weights.js';
import type { Tensors } from './tensor.js';

/** The ONNX files of a model; those of the instance decoder where the checkpoint has one. */
export interface ConvertedModel {
  /** 'vit_t', 'vit_b', 'vit_l', 'vit_h': by the width of the encoder, whatever the file is called. */
  readonly type: EncoderType;
  /** Whether weights are kept in half precision. */
  readonly half: boolean;
  /** `encoder.onnx`, `decoder.onnx`, `instances.onnx`, each with what is kept beside it. */
  readonly files: readonly FileParts[];
  readonly hasInstances: boolean;
}

export type EncoderType = 'vit_t' | 'vit_b' | 'vit_l' | 'vit_h';

export interface ConvertOptions extends TaskOptions {
  /** Keep weights in half precision. Always so for encoders that could not be opened otherwise (ViT-H). */
  readonly half?: boolean;
}

/** A model is given to the runtime as one array. */
const LARGEST_OPENED = 2 ** 31 - 1;

/**
 * A checkpoint as ONNX models. The weights of encoders are read when the files are written, one by one.
 *
 * @throws SamError `model_unavailable` if it is no whole model of Segment Anything
 */
export async function convertCheckpoint(
  { sam, decoder }: Checkpoint,
  { half = false, signal }: ConvertOptions = {},
): Promise<ConvertedModel> {
  if (!sam)
    throw new SamError(
      'model_unavailable',
      'This checkpoint holds only an instance decoder; give the checkpoint of the whole model, and this one as its decoder.',
    );
  const weights = belowPrefix(sam, 'image_encoder.');
  const type = encoderType(weights);
  const whole = type === 'vit_t' ? emitTinyVit(weights) : emitVit(weights);
  const isHalf = half || weightBytes(whole) > LARGEST_OPENED;
  const filesOf = (model: OnnxModel, name: string) => modelFiles(isHalf ? withHalfWeights(model) : model, name);
  const official = emitOfficialDecoder(await readDecoderWeights(sam, { signal }));
  // The masks' decoder is small, and written anew from its weights whenever it is opened.
  const files = [...filesOf(whole, 'encoder.onnx'), ...modelFiles(official, 'decoder.onnx')];
  if (decoder) files.push(...filesOf(emitUnetr(await constantsOf(decoder, signal)), 'instances.onnx'));
  return { type, half: isHalf, files, hasInstances: decoder !== undefined };
}

/** As micro-sam tells them apart (`_validate_model_type` of models/build_sam.py, 1.8). */
function encoderType(weights: Tensors): EncoderType {
  const width = weights.get('patch_embed.proj.weight')?.shape[0];
  const type = width === undefined ? undefined : ({ 768: 'vit_b', 1024: 'vit_l', 1280: 'vit_h' } as const)[width];
  if (type) return type;
  if (weights.has('patch_embed.seq.0.c.weight')) return 'vit_t';
  throw new SamError(
    'model_unavailable',
    `The image encoder of this checkpoint is not known: expected TinyViT, ViT-B, ViT-L or ViT-H${width === undefined ? '' : `, got a width of ${width}`}.`,
  );
}

function belowPrefix(tensors: Tensors, prefix: string): Tensors {
  const below = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(below.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function weightBytes({ graph }: OnnxModel): number {
  return graph.initializers.reduce((sum, { raw, later }) => sum + ((raw ?? later)?.length ?? 0), 0);
}

async function constantsOf(tensors: Tensors, signal?: AbortSignal): Promise<Map<string, Constant>> {
  const constants = new Map<string, Constant>();
  for (const [name, tensor] of tensors)
    if (!name.startsWith('encoder.')) constants.set(name, { dims: tensor.shape, data: await tensor.read({ signal }) });
  return constants;
}
