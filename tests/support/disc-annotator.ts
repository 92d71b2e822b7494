import type { YX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { subtractMasks, unionMasks } from '../../src/ndimage/mask-sets.js';
import { rasterizePolygon, rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { EMPTY_MASK } from '../../src/ndimage/rle.js';
import type { Annotator, LayerContent } from '../../src/session/annotator.js';
import { promptsOfPlane } from '../../src/session/annotator.js';
import type { ObjectRecord, SessionState } from '../../src/session/state.js';
import type { TaskOptions } from '../../src/task.js';

/**
 * An annotator without a model, for tests of everything around it: a positive point is a disc, a negative one takes a
 * disc away, a box is itself. Waits for `gate` before it answers, so that tests decide the order of events.
 */
export class DiscAnnotator implements Annotator {
  readonly kind = '2d';
  calls = 0;
  gate: Promise<void> = Promise.resolve();
  failWith?: Error;

  constructor(
    private readonly size: readonly [number, number],
    private readonly radius = 6,
  ) {}

  async prepare(_plane: number, { onProgress, signal }: TaskOptions): Promise<void> {
    for (let done = 0; done <= 3; done++) {
      signal?.throwIfAborted();
      onProgress?.({ done, total: 3, message: `Encoding tile ${done} of 3` });
      await this.gate;
    }
  }

  async segment(state: SessionState, { signal }: TaskOptions): Promise<LayerContent> {
    this.calls++;
    await this.gate;
    signal?.throwIfAborted();
    if (this.failWith) throw this.failWith;
    const prompts = promptsOfPlane(state);
    const disc = (at: YX, radius = this.radius) => rasterizeStroke([at], radius, this.size);
    const record = (id: number, mask: Mask): ObjectRecord => ({
      id,
      masks: new Map([[state.plane, mask]]),
      prompts,
      origin: 'interactive',
      predictedIou: 0.9,
    });
    const positives = prompts.filter((prompt) => prompt.kind === 'point' && prompt.positive);
    const masks = prompts.map((prompt) => {
      if (prompt.kind === 'point') return disc(prompt.at);
      if (prompt.kind === 'mask') return prompt.mask;
      if (prompt.kind !== 'box') return rasterizePolygon([prompt.ring], this.size);
      const [y0, x0, y1, x1] = prompt.box;
      return rasterizePolygon(
        [
          [
            [y0, x0],
            [y0, x1],
            [y1, x1],
            [y1, x0],
          ],
        ],
        this.size,
      );
    });
    if (state.settings.batched)
      return { layer: 'current_object', objects: masks.map((mask, index) => record(index + 1, mask)) };
    const mask = prompts.reduce<Mask>(
      (sum, prompt, index) =>
        prompt.kind === 'point' && !prompt.positive ? subtractMasks(sum, masks[index]) : unionMasks(sum, masks[index]),
      EMPTY_MASK,
    );
    const [first] = positives;
    const candidates =
      prompts.length === 1 && first?.kind === 'point'
        ? {
            objectId: 1,
            plane: state.plane,
            chosen: 1,
            masks: [0.5, 1, 2].map((scale) => ({
              mask: disc(first.at, this.radius * scale),
              predictedIou: 1 - scale / 4,
              stability: 1,
            })),
          }
        : undefined;
    return { layer: 'current_object', objects: [record(1, mask)], ...(candidates && { candidates }) };
  }

  async preview(at: YX): Promise<Mask> {
    await this.gate;
    return rasterizeStroke([at], this.radius, this.size);
  }
}
