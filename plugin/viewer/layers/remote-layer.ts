import { remoteFunctions } from '../../remote-functions.js';
import type { Extent } from '../coordinates.js';
import { CanvasLayer, type Viewport } from './canvas-layer.js';
import { type LayerApi, randomId, type ViewerLayer } from './layer.js';

/** What Kaibu asks a remote layer's owner for: a picture of this part of the map. */
export interface RenderRequest {
  readonly extent: Extent;
  /** Of the map on screen, CSS pixels. */
  readonly size: readonly [width: number, height: number];
  readonly pixelRatio: number;
  readonly viewState: { center: readonly number[]; resolution: number; rotation: number; zoom: number };
}

export interface RenderAnswer {
  readonly data: ArrayBuffer | Uint8Array;
  readonly mime: string;
}

export interface RemoteLayerConfig {
  readonly name: string;
  /** [width, height]; makes the layer define the image frame. Not in Kaibu. */
  readonly size?: readonly [number, number];
  readonly render: (request: RenderRequest) => Promise<RenderAnswer>;
}

interface Picture {
  readonly bitmap: ImageBitmap;
  readonly extent: Extent;
}

/** A request that takes longer is overtaken by the next one, if the view has moved on. */
const PATIENCE_MS = 200;
const OVERVIEW_SIDE = 512;

/**
 * `remote`: the owner draws what is on screen, so any size of image is possible. The last picture is shown in its place
 * until the next arrives, and below it, where the size is known, a small one of the whole image.
 */
export class RemoteLayer implements ViewerLayer {
  readonly id = randomId();
  readonly type = 'remote';
  readonly listed = true;
  readonly name: string;
  readonly size?: readonly [number, number];
  readonly ol: CanvasLayer;
  readonly api: LayerApi;
  readonly #render: RemoteLayerConfig['render'];
  #picture: Picture | undefined;
  #overview: Picture | undefined;
  #overviewStale = true;
  #asked = '';
  #askedAt = 0;
  /** Number of the newest request. */
  #newest = 0;
  #busy = false;
  #disposed = false;

  constructor(config: RemoteLayerConfig) {
    this.name = config.name || 'remote';
    this.size = config.size;
    this.#render = config.render;
    this.ol = new CanvasLayer((context, view) => this.#draw(context, view));
    this.api = remoteFunctions({
      name: this.name,
      id: this.id,
      refresh: () => {
        this.#asked = '';
        this.#overviewStale = true;
        this.ol.changed();
      },
      set_opacity: (opacity: number) => this.ol.setOpacity(opacity),
    });
  }

  setSelected(): void {}

  dispose(): void {
    this.#disposed = true;
    this.#picture?.bitmap.close();
    this.#overview?.bitmap.close();
    this.ol.dispose();
  }

  #draw(context: CanvasRenderingContext2D, view: Viewport): void {
    const key = [view.left, view.top, view.scale, view.width, view.height].join();
    if (key !== this.#asked) {
      if (!this.#busy || performance.now() - this.#askedAt > PATIENCE_MS) void this.#ask(key, view);
    } else if (!this.#busy && this.#overviewStale && this.size) void this.#askOverview(this.size, view);
    context.imageSmoothingEnabled = false;
    for (const picture of [this.#overview, this.#picture]) {
      if (!picture) continue;
      const { bitmap, extent } = picture;
      const [left, bottom, right, top] = extent;
      context.drawImage(
        bitmap,
        (left - view.left) * view.scale,
        (view.top - top) * view.scale,
        (right - left) * view.scale,
        (top - bottom) * view.scale,
      );
    }
  }

  async #ask(key: string, view: Viewport): Promise<void> {
    this.#asked = key;
    const { devicePixelRatio } = window;
    const right = view.left + view.width / view.scale;
    const bottom = view.top - view.height / view.scale;
    const size = [view.width / devicePixelRatio, view.height / devicePixelRatio] as const;
    const picture = await this.#fetch([view.left, bottom, right, view.top], size);
    if (!picture) return;
    this.#picture?.bitmap.close();
    this.#picture = picture;
  }

  async #askOverview([width, height]: readonly [number, number], view: Viewport): Promise<void> {
    this.#overviewStale = false;
    const scale = OVERVIEW_SIDE / Math.max(width, height);
    if (view.scale <= scale) return; // the whole image is on screen, and finer
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))] as const;
    const picture = await this.#fetch([0, 0, width, height], size);
    this.#overviewStale = picture === undefined;
    if (!picture) return;
    this.#overview?.bitmap.close();
    this.#overview = picture;
  }

  /** Undefined if it failed or a newer request has overtaken it. */
  async #fetch(extent: Extent, size: RenderRequest['size']): Promise<Picture | undefined> {
    const number = ++this.#newest;
    this.#busy = true;
    this.#askedAt = performance.now();
    const timer = setTimeout(() => this.ol.changed(), PATIENCE_MS + 1);
    const [left, bottom, right, top] = extent;
    const resolution = (right - left) / size[0];
    try {
      const answer = await this.#render({
        extent,
        size,
        pixelRatio: window.devicePixelRatio,
        viewState: {
          center: [(left + right) / 2, (bottom + top) / 2],
          resolution,
          rotation: 0,
          zoom: -Math.log2(resolution),
        },
      });
      const bitmap = await createImageBitmap(new Blob([answer.data as BlobPart], { type: answer.mime }));
      if (number === this.#newest && !this.#disposed) return { bitmap, extent };
      bitmap.close();
    } catch (error) {
      if (number === this.#newest) console.warn(`The remote layer "${this.name}" could not be drawn:`, error);
    } finally {
      clearTimeout(timer);
      if (number === this.#newest) {
        this.#busy = false;
        if (!this.#disposed) this.ol.changed();
      }
    }
    return undefined;
  }
}
