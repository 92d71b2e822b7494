import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { openZipArchive, type ZipArchive } from '../io/zip-archive.js';
import type { TaskOptions } from '../task.js';
import { foldLora } from './lora.js';
import { readSafetensorsFile } from './safetensors-file.js';
import type { StoredTensor, Tensors } from './tensor.js';
import { checkUnpacked, readLegacyTorch, readTorchZip, type TorchValue, torchFolder } from './torch-file.js';

/** What a checkpoint of Segment Anything or micro-sam holds; at least one of the two. */
export interface Checkpoint {
  /** By segment-anything's names. */
  readonly sam?: Tensors;
  /** micro-sam's instance decoder (UNETR), by torch-em's names. */
  readonly decoder?: Tensors;
  /** What a bioimage.io package calls itself. */
  readonly title?: string;
}

/**
 * Opens any form in which such models are kept: PyTorch's files, old and new, with a plain state dict, micro-sam's
 * training state (`model_state`, whose names begin with `sam.`, and `decoder_state`), a decoder alone, or a whole module;
 * safetensors; and bioimage.io packages. LoRA is folded. Only names and shapes are read; tensors stay in the file.
 *
 * @throws SamError `model_unavailable` for damaged files and other models, `unsupported` for kinds that are not read
 */
export async function openCheckpoint(source: ByteSource, options: TaskOptions = {}): Promise<Checkpoint> {
  try {
    return await opened(source, options);
  } catch (error) {
    // Readers of bytes speak of images.
    if (error instanceof SamError && (error.code === 'invalid_image' || error.code === 'not_found'))
      throw new SamError('model_unavailable', error.message, { cause: error, details: { ...error.details } });
    throw error;
  }
}

async function opened(source: ByteSource, options: TaskOptions): Promise<Checkpoint> {
  const { name, size } = source;
  if (size < 4) throw new SamError('model_unavailable', `${name} is not a checkpoint: it has ${size} bytes.`);
  const start = await source.read(0, Math.min(size, 64), options);
  if (start[0] === 0x50 && start[1] === 0x4b) {
    const archive = await openZipArchive(source, options);
    const folder = torchFolder(archive);
    if (folder === undefined) return openPackage(archive, options);
    return known(partsOf(await readTorchZip(archive, folder, options)), name);
  }
  const value = (await readSafetensorsFile(source, options)) ?? (await readLegacyTorch(source, options));
  if (value) return known(partsOf(value), name);
  const text = new TextDecoder().decode(start).trimStart().toLowerCase();
  const what = text.startsWith('<')
    ? 'a web page: the address may need a login, or point to a page about the file'
    : text.startsWith('version https://git-lfs')
      ? 'a Git LFS pointer, not the file itself'
      : 'no file of PyTorch (.pt, .pth), safetensors or bioimage.io package';
  throw new SamError('model_unavailable', `${name} is ${what}.`);
}

/** A package of bioimage.io: rdf.yaml beside the weights, and the decoder as an attachment or inside the weights. */
async function openPackage(archive: ZipArchive, options: TaskOptions): Promise<Checkpoint> {
  const { name, members } = archive;
  const card = ['rdf.yaml', 'bioimageio.yaml', 'rdf.yml'].find((each) => members.has(each));
  const weights = [...members.keys()].filter((member) => /\.(pt|pth|safetensors)$/i.test(member));
  if (card === undefined || weights.length === 0)
    throw new SamError(
      'model_unavailable',
      `${name} is a zip archive, but neither a file of PyTorch (data.pkl) nor a bioimage.io package (rdf.yaml and .pt).`,
    );
  const text = new TextDecoder().decode(await archive.read(card, { ...options, limit: 2 ** 20 }));
  const title = /^name:\s*(.+)$/m.exec(text)?.[1]?.replace(/^["']|["']\s*$/g, '');
  let all: Checkpoint = { ...(title && { title }) };
  for (const member of weights.slice(0, MOST_WEIGHTS)) {
    checkUnpacked(archive, member);
    const part = await opened(await archive.open(member, options), options);
    all = { ...part, ...all };
  }
  return all;
}

/** Of a package: the weights, a decoder, and the same again in another form. */
const MOST_WEIGHTS = 8;

/** Wrappers around a state dict that training scripts write. */
const WRAPPERS = ['model_state', 'state_dict', 'model_state_dict', 'model'];

function partsOf(value: TorchValue | Tensors): Checkpoint {
  if (!isMap(value)) return {};
  const inner = WRAPPERS.map((key) => value.get(key)).find(isMap);
  const state = withoutPrefixes(tensorsOf(inner ?? value));
  const joint = value.get('decoder_state');
  const decoder = joint && isMap(joint) ? withoutPrefixes(tensorsOf(joint)) : isDecoder(state) ? state : undefined;
  const isSam = state.has('mask_decoder.iou_token.weight') || state.has('prompt_encoder.no_mask_embed.weight');
  return { ...(isSam && { sam: foldLora(state) }), ...(decoder && isDecoder(decoder) && { decoder }) };
}

function known(checkpoint: Checkpoint, name: string): Checkpoint {
  if (checkpoint.sam || checkpoint.decoder) return checkpoint;
  throw new SamError(
    'model_unavailable',
    `${name} holds neither a model of Segment Anything (image_encoder, prompt_encoder, mask_decoder) nor a micro-sam instance decoder.`,
  );
}

function isDecoder(tensors: Tensors): boolean {
  return tensors.has('out_conv.weight') && tensors.has('base.block.1.weight');
}

function isMap(value: unknown): value is ReadonlyMap<string, TorchValue> {
  return value instanceof Map;
}

function tensorsOf(state: ReadonlyMap<string, TorchValue>): Tensors {
  return new Map([...state].filter((entry): entry is [string, StoredTensor] => !isMap(entry[1])));
}

/** Without what wrappers put before every name: micro-sam's trainer, parallel and compiled modules. */
function withoutPrefixes(tensors: Tensors): Tensors {
  let all = tensors;
  for (const prefix of ['_orig_mod.', 'module.', 'sam.', 'model.'])
    if (all.size > 0 && [...all.keys()].some((name) => name.startsWith(prefix)))
      all = new Map(
        [...all].map(([name, tensor]) => [name.startsWith(prefix) ? name.slice(prefix.length) : name, tensor]),
      );
  return all;
}
