import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { SamError } from '../errors.js';
import { type ByteSource, sampleOf } from '../io/bytes.js';
import { fileNameOf } from '../io/folder/file-names.js';
import type { FileParts } from '../onnx/write-parts.js';
import type { TaskOptions } from '../task.js';
import { CARD_FORMAT } from './card-format.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { convertCheckpoint, type EncoderType } from './convert.js';

/** What lies beside the files of an imported model, as `model.json`. */
export interface ImportCard {
  /** Of the card (card-format.ts); 1 where it is not said. */
  readonly format?: number;
  readonly name: string;
  readonly type: EncoderType;
  readonly description: string;
  readonly licence?: string;
  readonly encoder: string;
  readonly decoder: string;
  readonly instances?: string;
  /**
   * Hex SHA-256 of the bytes of the encoder's files, one after the other: embeddings belong to it. Cards of earlier
   * versions lack it.
   */
  readonly encoderDigest?: string;
  /** Weights are kept in half precision. */
  readonly half: boolean;
  /** Where it came from: the name or address of the checkpoint. */
  readonly source: string;
  /** By which the same checkpoint is known again. Cards of earlier versions lack it. */
  readonly checkpointDigest?: string;
}

export const IMPORT_CARD = 'model.json';

/** By which it is told whether a checkpoint was imported before. */
export type EarlierImport = Pick<ImportCard, 'name' | 'source' | 'checkpointDigest'>;

export interface ImportOptions extends TaskOptions {
  /** Of the model; default: from the name of the file. */
  readonly name?: string;
  /** Names that are not given by default: of models of other kinds. */
  readonly taken?: readonly string[];
  /** What was imported before: its names are given by default to the same checkpoints only. */
  readonly earlier?: readonly EarlierImport[];
  readonly description?: string;
  readonly licence?: string;
  /** Where the checkpoint is from, if not a file of its name. */
  readonly source?: string;
  /** Other checkpoints that belong to it: micro-sam's instance decoder, if that is a file of its own. */
  readonly others?: readonly ByteSource[];
  readonly half?: boolean;
}

/** Keeps one file of a model; pieces are made one after the other. */
export type WriteFile = (file: FileParts, options: TaskOptions) => Promise<void>;

/**
 * Turns a checkpoint into the ONNX files of a model and its card, which is written last.
 *
 * @throws SamError as `openCheckpoint` and `convertCheckpoint` do
 */
export async function importCheckpoint(
  checkpoint: ByteSource,
  write: WriteFile,
  options: ImportOptions = {},
): Promise<ImportCard> {
  const { signal, onProgress } = options;
  const { named, ...opened } = await openTogether([checkpoint, ...(options.others ?? [])], { signal });
  const checkpointDigest = await digestOf(named, { signal });
  const converted = await convertCheckpoint(opened, { half: options.half, signal });
  const name = options.name ?? freeName(modelNameOf(named.name), checkpointDigest, options);
  const total = converted.files.reduce((sum, { size }) => sum + size, 0);
  const digest = sha256.create();
  let before = 0;
  for (const file of converted.files) {
    const told = (done: number) => onProgress?.({ done: before + done, total, message: `Converting ${name}` });
    const isEncoder = file.name.startsWith(ENCODER);
    await write(isEncoder ? hashed(file, (bytes) => digest.update(bytes)) : file, {
      signal,
      onProgress: ({ done }) => told(done),
    });
    before += file.size;
    told(0);
  }
  const card: ImportCard = {
    format: CARD_FORMAT,
    name,
    type: converted.type,
    description: options.description ?? `${opened.title ?? fileNameOf(named.name)}, imported from a checkpoint.`,
    ...(options.licence !== undefined && { licence: options.licence }),
    encoder: ENCODER,
    decoder: 'decoder.onnx',
    ...(converted.hasInstances && { instances: 'instances.onnx' }),
    encoderDigest: bytesToHex(digest.digest()),
    half: converted.half,
    source: options.source ?? named.name,
    checkpointDigest,
  };
  const text = new TextEncoder().encode(JSON.stringify(card, null, 2));
  await write({ name: IMPORT_CARD, size: text.length, pieces: [text] }, { signal });
  return card;
}

const ENCODER = 'encoder.onnx';

/** Files of one name from several trainings are several models; the same file again is the same one. */
function freeName(wanted: string, digest: string, { taken = [], earlier = [], source }: ImportOptions): string {
  const base = taken.includes(wanted) ? `${wanted.slice(0, 55)}_imported` : wanted;
  const isFree = (name: string) => {
    const before = earlier.find((one) => one.name === name);
    const isSame = before && (before.checkpointDigest === digest || (source !== undefined && before.source === source));
    return !taken.includes(name) && (isSame ?? true);
  };
  let name = base;
  for (let i = 2; !isFree(name); i++) name = `${base.slice(0, 60)}_${i}`;
  return name;
}

/** Of its length, and some of its blocks. */
async function digestOf(source: ByteSource, options: TaskOptions): Promise<string> {
  const { size } = source;
  const hash = sha256.create().update(new TextEncoder().encode(`${size}:`));
  for (const { offset, length } of sampleOf(size)) hash.update(await source.read(offset, length, options));
  return bytesToHex(hash.digest());
}

/** Files that make one model, in any order; `named` is that of the model, after which it is called. */
async function openTogether(
  sources: readonly ByteSource[],
  options: TaskOptions,
): Promise<Checkpoint & { readonly named: ByteSource }> {
  let whole: (Checkpoint & { readonly named: ByteSource }) | undefined;
  let decoder: Checkpoint['decoder'];
  for (const source of sources) {
    const opened = await openCheckpoint(source, options);
    if (opened.sam && whole)
      throw new SamError(
        'invalid_argument',
        `${whole.named.name} and ${source.name} are two models; import one at a time, with its instance decoder if that is a file of its own.`,
      );
    if (opened.sam) whole = { ...opened, named: source };
    else decoder = opened.decoder;
  }
  const [first, second] = sources;
  if (second && whole && !decoder)
    throw new SamError('model_unavailable', `${second.name} has no instance decoder of micro-sam (UNETR).`);
  const found = whole ?? (first && { named: first });
  if (found === undefined) throw new SamError('invalid_argument', 'No checkpoint was given; give one file at least.');
  return { ...found, ...(decoder && { decoder }) };
}

/** The same file, each of whose pieces is shown to `see` when it is made. */
function hashed(file: FileParts, see: (bytes: Uint8Array) => void): FileParts {
  const pieces = file.pieces.map((piece) => ({
    length: piece.length,
    async load() {
      const bytes = piece instanceof Uint8Array ? piece : await piece.load();
      see(bytes);
      return bytes;
    },
  }));
  return { ...file, pieces };
}

/**
 * A name for the model of a file: vit_b_lm.pt → vit_b_lm; micro-sam's training calls all files best.pt or latest.pt, and
 * the folder by the name that was chosen.
 */
function modelNameOf(file: string): string {
  const parts = file.split(/[/\\]/).filter((part) => part !== '');
  const stem = (parts.at(-1) ?? '').replace(/\.(pt|pth|ckpt|safetensors|zip)$/i, '');
  const chosen = /^(best|latest|last|model|checkpoint)$/i.test(stem) ? (parts.at(-2) ?? stem) : stem;
  return (
    chosen
      .replace(/[^\w.-]+/g, '_')
      .replace(/^[.-]+/, '')
      .slice(0, 64) || 'model'
  );
}
