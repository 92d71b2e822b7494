import { type ImageSource, planeAt } from '../io/image.js';
import { itemAt } from '../items.js';
import { mirroredImage, mirroredMaps } from '../model/mirrored.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Embedding, InstanceMaps } from '../model/sam-tensors.js';
import { type IntensityPolicy, toImage } from '../model/transforms.js';
import type { Tensor, YXYX } from '../ndimage/array.js';
import type { Tiling } from '../ndimage/blocking.js';
import { pause, type TaskOptions } from '../task.js';
import type { SamWorker } from '../worker/sam-worker.js';
import type { Place } from './cache.js';
import { idOf } from './kept-embeddings.js';

/** Any part of a plane, in pixels; `mirrored`: seen from left to right, with its maps turned back. */
export interface PlaneBox {
  readonly plane: number;
  readonly box: YXYX;
  readonly mirrored?: boolean;
}

export interface PlaneEncoderOptions {
  readonly source: ImageSource;
  readonly worker: SamWorker;
  readonly model: ModelSpec;
  /** All of them, if undefined. */
  readonly channels: readonly number[] | undefined;
  readonly intensity: IntensityPolicy;
  readonly tiling: Tiling | undefined;
  /** With which the ids of its embeddings begin. */
  readonly signature: string;
}

/** Planes, tiles and boxes of an image as the model sees them, and what the model makes of them. Keeps nothing. */
export class PlaneEncoder {
  constructor(private readonly options: PlaneEncoderOptions) {}

  /** The recorded pixels, [h, w] or [h, w, c]. */
  pixels(plane: number, box: YXYX | undefined, { signal }: TaskOptions): Promise<Tensor> {
    const { source, channels } = this.options;
    return source.readRegion({ ...planeAt(source, plane), channels, box }, { signal });
  }

  /** @param early with what the instance decoder takes besides */
  async encode(at: Place, early: boolean, { signal, onProgress }: TaskOptions): Promise<Embedding> {
    const { worker, model, signature } = this.options;
    const image = await this.image(at.plane, this.boxOf(at), { signal });
    await worker.load(model, { signal, onProgress });
    const encoded = await worker.encode(model.name, image, { early, signal, onProgress });
    await pause(); // megabytes have arrived, are told apart and written: each in tasks of their own
    return { ...encoded, id: await idOf(signature, at, encoded.features) };
  }

  /**
   * @param embedding of that place
   * @throws SamError `no_embedding` where the worker knows it no more and it has no early features
   */
  async maps(at: Place, embedding: Embedding, task: TaskOptions): Promise<InstanceMaps> {
    const { worker, model } = this.options;
    const image = await this.image(at.plane, this.boxOf(at), task);
    await worker.load(model, task);
    return worker.instanceMaps(model.name, embedding, image, task);
  }

  /** Of a box, which is encoded for that alone. */
  async mapsOfBox({ plane, box, mirrored }: PlaneBox, task: TaskOptions): Promise<InstanceMaps> {
    const { worker, model } = this.options;
    const recorded = await this.image(plane, box, task);
    const image = mirrored ? mirroredImage(recorded) : recorded;
    await worker.load(model, task);
    const embedding = await worker.encode(model.name, image, { early: true, ...task });
    const found = await worker.instanceMaps(model.name, embedding, image, task);
    return mirrored ? mirroredMaps(found) : found;
  }

  /** As the encoder is given it. */
  private async image(plane: number, box: YXYX | undefined, { signal }: TaskOptions): Promise<Tensor<Uint8Array>> {
    const pixels = await this.pixels(plane, box, { signal });
    signal?.throwIfAborted();
    return toImage(pixels, this.options.intensity);
  }

  private boxOf({ tile }: Place): YXYX | undefined {
    const { tiling } = this.options;
    return tiling && tile !== undefined ? itemAt(tiling.tiles, tile).outer : undefined;
  }
}
