import { CanvasLayer, type Viewport } from './canvas-layer.js';
import { type LayerApi, randomId, type ViewerLayer } from './layer.js';

/** What Kaibu asks a remote layer's owner for: a picture of this part of the map. */
export interface RenderRequest {
  readonly extent: readonly number[];
  /** [width, height] of the map on screen, CSS pixels. */
  readonly size: readonly number[];
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

/**
 * `remote`: the owner draws what is on screen, so any size of image is possible. One request at a time; the last picture is
 * shown in its place until the next arrives.
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
  #picture: { bitmap: ImageBitmap; extent: readonly number[] } | undefined;
  #asked = '';
  #busy = false;

  constructor(config: RemoteLayerConfig) {
    this.name = config.name || 'remote';
    this.size = config.size;
    this.#render = config.render;
    this.ol = new CanvasLayer((context, view) => this.#draw(context, view));
    this.api = {
      _rintf: true,
      name: this.name,
      id: this.id,
      refresh: () => {
        this.#asked = '';
        this.ol.changed();
      },
      set_opacity: (opacity: number) => this.ol.setOpacity(opacity),
    };
  }

  setSelected(): void {}

  dispose(): void {
    this.#picture?.bitmap.close();
    this.ol.dispose();
  }

  #draw(context: CanvasRenderingContext2D, view: Viewport): void {
    const key = [view.left, view.top, view.scale, view.width, view.height].join();
    if (key !== this.#asked && !this.#busy) void this.#ask(key, view);
    if (!this.#picture) return;
    const { bitmap, extent } = this.#picture;
    context.imageSmoothingEnabled = false;
    context.drawImage(
      bitmap,
      (extent[0] - view.left) * view.scale,
      (view.top - extent[3]) * view.scale,
      (extent[2] - extent[0]) * view.scale,
      (extent[3] - extent[1]) * view.scale,
    );
  }

  async #ask(key: string, view: Viewport): Promise<void> {
    this.#busy = true;
    this.#asked = key;
    const pixelRatio = window.devicePixelRatio;
    const right = view.left + view.width / view.scale;
    const bottom = view.top - view.height / view.scale;
    const extent = [view.left, bottom, right, view.top];
    const resolution = pixelRatio / view.scale;
    try {
      const answer = await this.#render({
        extent,
        size: [view.width / pixelRatio, view.height / pixelRatio],
        pixelRatio,
        viewState: {
          center: [(view.left + right) / 2, (bottom + view.top) / 2],
          resolution,
          rotation: 0,
          zoom: -Math.log2(resolution),
        },
      });
      const bitmap = await createImageBitmap(new Blob([answer.data as BlobPart], { type: answer.mime }));
      this.#picture?.bitmap.close();
      this.#picture = { bitmap, extent };
    } catch (error) {
      console.error(`The remote layer "${this.name}" could not be drawn:`, error);
    } finally {
      this.#busy = false;
      this.ol.changed();
    }
  }
}
