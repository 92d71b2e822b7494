import { asSamError, SamError } from '../errors.js';
import { type RpcArray, toRpcArray, viewRpcArray } from '../io/rpc-array.js';
import { itemAt } from '../items.js';
import { resolveModel } from '../model/registry.js';
import type { Embedding } from '../model/sam-tensors.js';
import { buildPrompts, type ObjectPrompt, postprocessMask, toImage } from '../model/transforms.js';
import { tensor } from '../ndimage/array.js';
import { maskToBitmap } from '../ndimage/rle.js';
import type { Progress } from '../task.js';
import { VERSION } from '../version.js';
import type { Channel } from './channel.js';
import { offerToImJoy } from './imjoy-peer.js';
import { modelName } from './model-argument.js';
import type { SamWorker } from './sam-worker.js';

interface EncodeOptions {
  readonly model?: string;
  /** Names the task for `cancel`. */
  readonly task?: string;
  readonly progress?: { report(progress: Progress): Promise<void> };
}

interface PredictOptions {
  readonly model?: string;
  /** [[y, x], …] with `labels` (1 inside the object, 0 outside). */
  readonly points?: readonly (readonly [number, number])[];
  readonly labels?: readonly number[];
  /** [y0, x0, y1, x1]. */
  readonly box?: readonly [number, number, number, number];
}

/** Images a plugin client may have open at a time; the oldest is forgotten. */
const KEPT = 16;

/**
 * The worker as a plugin of its own, for other ImJoy plugins and scripts (`imjoy.pm.connectPlugin`): ImJoy's ndarrays in
 * and out, (y, x) coordinates in image pixels, errors as exceptions whose text begins with the code.
 */
export function servePlugin(channel: Channel, worker: SamWorker): Promise<void> {
  const embeddings = new Map<string, Embedding>();
  const tasks = new Map<string, AbortController>();
  channel.onClose(() => {
    for (const controller of tasks.values()) controller.abort();
  });
  const modelOf = ({ model }: { readonly model?: string } = {}) =>
    resolveModel(model === undefined ? undefined : modelName(model)).name;

  const api = {
    setup() {},
    run() {},
    get_info: () => answer(() => worker.info()),
    /** @returns an id for `predict`, and the features */
    encode: (image: RpcArray, options: EncodeOptions = {}) =>
      answer(async () => {
        const controller = new AbortController();
        if (options.task !== undefined) tasks.set(options.task, controller);
        try {
          const embedding = await worker.encode(modelOf(options), toImage(viewRpcArray(image)), {
            signal: controller.signal,
            onProgress: (progress) => void options.progress?.report({ ...progress }).catch(() => undefined),
          });
          embeddings.set(embedding.id, embedding);
          for (const oldest of embeddings.keys()) if (embeddings.size > KEPT) embeddings.delete(oldest);
          return {
            id: embedding.id,
            features: toRpcArray(embedding.features),
            input_size: [...embedding.inputSize],
            original_size: [...embedding.originalSize],
          };
        } finally {
          if (options.task !== undefined) tasks.delete(options.task);
        }
      }),
    /** @returns the mask of one object as uint8 [H, W] and its score, by micro-sam's rule for one or several masks */
    predict: (id: string, options: PredictOptions = {}) =>
      answer(async () => {
        const embedding = embeddings.get(id);
        if (!embedding) throw new SamError('no_embedding', `There is no image '${String(id)}'; call encode first.`);
        const { points = [], labels = points.map(() => 1), box } = options;
        if (!Array.isArray(points) || !Array.isArray(labels) || labels.length !== points.length)
          throw new SamError(
            'invalid_prompt',
            `Expected a label for each point, got ${points?.length} points and ${labels?.length} labels.`,
          );
        if (points.length === 0 && !box) throw new SamError('no_prompts', 'Give points, a box, or both.');
        const prompt: ObjectPrompt = { points: points.map((at, i) => ({ at, positive: labels[i] === 1 })), box };
        const decoded = await worker.decode(modelOf(options), embedding, buildPrompts([prompt], embedding));
        const single = !box && points.length === 1 && labels[0] === 1;
        const best = decoded.tokens.reduce(
          (chosen, token, m) =>
            (single ? token > 0 : token === 0) && !(itemAt(decoded.iou, m) <= (decoded.iou[chosen] ?? -Infinity))
              ? m
              : chosen,
          -1,
        );
        const mask = Math.max(0, best);
        const logits = decoded.logits.subarray(mask * 65536, (mask + 1) * 65536);
        const bitmap = maskToBitmap(
          postprocessMask(logits, embedding.inputSize, embedding.originalSize),
          embedding.originalSize,
        );
        return { mask: toRpcArray(tensor(bitmap, [...embedding.originalSize])), score: decoded.iou[mask] };
      }),
    cancel: async (task: string) => tasks.get(task)?.abort(),
  };
  return offerToImJoy(channel, api, {
    id: `micro-sam-worker-${Date.now()}`,
    name: 'micro-sam-worker',
    type: 'rpc-worker',
    version: VERSION,
    description: 'Runs Segment Anything models for other plugins',
    lang: 'javascript',
    allow_execution: false,
  });
}

async function answer<T>(job: () => Promise<T>): Promise<T> {
  try {
    return await job();
  } catch (thrown) {
    const { code, message } = asSamError(thrown);
    throw new Error(`${code}: ${message}`);
  }
}
