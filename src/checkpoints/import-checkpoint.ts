import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { fileNameOf } from '../io/folder/file-names.js';
import type { FileParts } from '../onnx/write-parts.js';
import type { TaskOptions } from '../task.js';
import { openCheckpoint } from './checkpoint.js';
import { convertCheckpoint, type EncoderType } from './convert.js';

/** What lies beside the files of an imported model, as `model.json`. */
export interface ImportCard {
  readonly name: string;
  readonly type: EncoderType;
  readonly description: string;
  readonly licence?: string;
  readonly encoder: string;
  readonly decoder: string;
  readonly instances?: string;
  /** Weights are kept in half precision. */
  readonly half: boolean;
  /** Where it came from: the name or address of the checkpoint. */
  readonly source: string;
}

export const IMPORT_CARD = 'model.json';

export interface ImportOptions extends TaskOptions {
  /** Of the model; default: from the name of the file. */
  readonly name?: string;
  readonly description?: string;
  readonly licence?: string;
  /** Where the checkpoint is from, if not a file of its name. */
  readonly source?: string;
  /** A separate checkpoint with micro-sam's instance decoder. */
  readonly decoder?: ByteSource;
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
  const opened = await openCheckpoint(checkpoint, { signal });
  const decoder = options.decoder ? await decoderOf(options.decoder, { signal }) : opened.decoder;
  const converted = await convertCheckpoint({ ...opened, decoder }, { half: options.half, signal });
  const name = options.name ?? modelNameOf(checkpoint.name);
  const card: ImportCard = {
    name,
    type: converted.type,
    description: options.description ?? `${opened.title ?? fileNameOf(checkpoint.name)}, imported from a checkpoint.`,
    ...(options.licence !== undefined && { licence: options.licence }),
    encoder: 'encoder.onnx',
    decoder: 'decoder.onnx',
    ...(converted.hasInstances && { instances: 'instances.onnx' }),
    half: converted.half,
    source: options.source ?? checkpoint.name,
  };
  const total = converted.files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of converted.files) {
    const told = (done: number) => onProgress?.({ done: before + done, total, message: `Converting ${name}` });
    await write(file, { signal, onProgress: ({ done }) => told(done) });
    before += file.size;
    told(0);
  }
  const text = new TextEncoder().encode(JSON.stringify(card, null, 2));
  await write({ name: IMPORT_CARD, size: text.length, pieces: [text] }, { signal });
  return card;
}

async function decoderOf(source: ByteSource, options: TaskOptions) {
  const { decoder } = await openCheckpoint(source, options);
  if (decoder) return decoder;
  throw new SamError('model_unavailable', `${source.name} has no instance decoder of micro-sam (UNETR).`);
}

/**
 * A name for the model of a file: vit_b_lm.pt → vit_b_lm; micro-sam's training calls all files best.pt or latest.pt, and
 * the folder by the name that was chosen.
 */
export function modelNameOf(file: string): string {
  const parts = file.split(/[/\\]/).filter((part) => part !== '');
  const stem = (parts.at(-1) ?? '').replace(/\.(pt|pth|ckpt|safetensors|zip)$/i, '');
  const chosen = /^(best|latest|last|model|checkpoint)$/i.test(stem) ? (parts.at(-2) ?? stem) : stem;
  return chosen.replace(/[^\w.-]+/g, '_').slice(0, 64) || 'model';
}
