import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { Embedding } from '../../model/sam-tensors.js';
import { elementCount } from '../../onnx/tensor-info.js';
import type { Canvas } from '../canvas.js';
import { STAGE, STAGE_NAME } from '../encoder/late-stage.js';
import { canvasBytes, type KeptCanvas, keptCanvas } from '../kept-canvas.js';

const LENGTH = elementCount(STAGE);

/**
 * What the late part begins with, and the objects: 1.4 MB a canvas.
 *
 * @param encoded the canvas, with the early features `STAGE_NAME`
 */
export async function cacheStage(
  store: Store,
  key: string,
  canvas: Canvas,
  { early }: Pick<Embedding, 'early'>,
): Promise<void> {
  const stage = early?.[STAGE_NAME]?.data;
  if (stage?.length !== LENGTH)
    throw new SamError('unsupported', `The encoder gives no '${STAGE_NAME}' of the size that its last stage takes.`);
  await store.set(key, canvasBytes(stage, canvas));
}

/** With features of shape `STAGE`. */
export async function cachedStage(store: Store, key: string): Promise<KeptCanvas | undefined> {
  return keptCanvas(await store.get(key), LENGTH);
}
