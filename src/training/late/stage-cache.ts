import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { Embedding } from '../../model/sam-tensors.js';
import type { LabelImage } from '../../ndimage/array.js';
import { fromHalf } from '../../ndimage/half.js';
import { elementCount } from '../../onnx/tensor-info.js';
import type { Canvas } from '../canvas.js';
import { labelsOnGrid, MASK_SIDE } from '../prompts/prompt-cache.js';
import { STAGE, STAGE_NAME } from './late-stage.js';

/** What the late part begins with, in half precision, and the objects: 1.4 MB a canvas. */
export interface StageSample {
  /** Of shape `STAGE`. */
  readonly stage: Float32Array;
  /** [256, 256]: the grid of the mask decoder. */
  readonly labels: LabelImage;
}

const LENGTH = elementCount(STAGE);

/** @param encoded the canvas, with the early features `STAGE_NAME` */
export async function cacheStage(
  store: Store,
  key: string,
  canvas: Canvas,
  { early }: Pick<Embedding, 'early'>,
): Promise<void> {
  const stage = early?.[STAGE_NAME]?.data;
  if (stage?.length !== LENGTH)
    throw new SamError('unsupported', `The encoder gives no '${STAGE_NAME}' of the size that its last stage takes.`);
  const all = new Uint16Array(LENGTH + MASK_SIDE ** 2);
  all.set(stage);
  all.set(labelsOnGrid(canvas).data, LENGTH);
  await store.set(key, new Uint8Array(all.buffer));
}

export async function cachedStage(store: Store, key: string): Promise<StageSample | undefined> {
  const bytes = await store.get(key);
  if (bytes?.length !== 2 * (LENGTH + MASK_SIDE ** 2)) return undefined;
  const all = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return {
    stage: fromHalf(all.subarray(0, LENGTH)),
    labels: { data: Uint32Array.from(all.subarray(LENGTH)), shape: [MASK_SIDE, MASK_SIDE] },
  };
}
