import { SamError } from '../errors.js';
import type { OrtRuntime, OrtSession } from './runtime.js';
import type { EdgeOptions, Embedding, SamPrompts } from './sam-tensors.js';

/**
 * One way to run a decoder export: rewritten, changed a little, or as it is. `run` gets a few prompts at a time and is
 * never called again before it has finished (see mask-decoder.ts, which sees to both).
 */
export interface DecoderGraphs {
  /** At most so many prompts per run. */
  readonly batch: number;
  run(embedding: Embedding, prompts: SamPrompts, options: RunOptions): Promise<DecodedChunk>;
  release(): Promise<void>;
}

export interface RunOptions {
  /** Leave out the logits of prompts none of whose multimask scores reaches it. */
  readonly iouFloor: number;
  readonly edges?: EdgeOptions;
}

export interface DecodedChunk {
  /** [K, M, 256, 256]. */
  readonly logits: Float32Array;
  /** [B, M]. */
  readonly iou: Float32Array;
  readonly tokens: readonly number[];
  /** [K] prompts of the chunk that have logits, ascending. */
  readonly rows: readonly number[];
}

export const LOW_RES = 256 * 256;
export const EMBEDDING_SHAPE = [1, 256, 64, 64];

export async function openSession(runtime: OrtRuntime, bytes: Uint8Array): Promise<OrtSession> {
  try {
    return await runtime.createSession(bytes, { frequent: true });
  } catch (error) {
    throw new SamError(
      'model_unavailable',
      `${runtime.name} (${runtime.provider}) cannot open the mask decoder: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}

/** Opens a session at its first use, once. */
export class LazySession {
  private opened?: Promise<OrtSession>;

  constructor(
    private readonly runtime: OrtRuntime,
    private readonly bytes: () => Uint8Array,
  ) {}

  get(): Promise<OrtSession> {
    this.opened ??= openSession(this.runtime, this.bytes()).catch((error: unknown) => {
      this.opened = undefined;
      throw error;
    });
    return this.opened;
  }

  async release(): Promise<void> {
    const session = await this.opened?.catch(() => undefined);
    await session?.release();
  }
}

/** For graphs that decode every mask: drops those that `iouFloor` leaves out. */
export function applyFloor(chunk: DecodedChunk, batch: number, iouFloor: number): DecodedChunk {
  const { iou, tokens } = chunk;
  const count = tokens.length;
  const reaches = (row: number) => tokens.some((token, m) => token > 0 && iou[row * count + m] >= iouFloor);
  const rows = Array.from({ length: batch }, (_, row) => row).filter(iouFloor === -Infinity ? () => true : reaches);
  if (rows.length === batch) return chunk;
  const size = count * LOW_RES;
  const logits = new Float32Array(rows.length * size);
  rows.forEach((row, k) => {
    logits.set(chunk.logits.subarray(row * size, (row + 1) * size), k * size);
  });
  return { logits, iou, tokens, rows };
}
