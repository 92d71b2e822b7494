import { remoteFunctions } from '../../remote-functions.js';
import { labelled, slider } from '../controls.js';
import { CanvasLayer } from './canvas-layer.js';
import { type ImagePixels, paintPixels, percentileLimits, readPixels, valueRange } from './image-pixels.js';
import { type LayerApi, randomId, type ViewerLayer } from './layer.js';

/**
 * `2d-image`: a picture on the exact pixel grid. Nearest neighbour when magnified, so that a pixel is a square. Contrast is
 * this layer's own: finished pictures (RGB) are shown as they are, single channels from the 1st to the 99th percentile.
 */
export class ImageLayer implements ViewerLayer {
  readonly id = randomId();
  readonly type = '2d-image';
  readonly listed = true;
  readonly ol: CanvasLayer;
  readonly api: LayerApi;
  readonly #picture = document.createElement('canvas');
  #pixels: ImagePixels;
  #limits: [number, number];
  #manual = false;

  static async open(name: string, data: unknown): Promise<ImageLayer> {
    return new ImageLayer(name, await readPixels(data));
  }

  private constructor(
    readonly name: string,
    pixels: ImagePixels,
  ) {
    this.#pixels = pixels;
    this.#limits = defaultLimits(pixels);
    this.#repaint();
    this.ol = new CanvasLayer((context, view) => {
      context.imageSmoothingEnabled = view.scale < 1;
      context.imageSmoothingQuality = 'high';
      context.drawImage(
        this.#picture,
        -view.left * view.scale,
        (view.top - this.#pixels.height) * view.scale,
        this.#pixels.width * view.scale,
        this.#pixels.height * view.scale,
      );
    });
    this.api = remoteFunctions({
      name,
      id: this.id,
      set_image: async (data: unknown) => this.setPixels(await readPixels(data)),
      set_opacity: (opacity: number) => this.ol.setOpacity(opacity),
      set_contrast: (low: number, high: number) => this.setLimits([low, high]),
    });
  }

  get size(): readonly [number, number] {
    return [this.#pixels.width, this.#pixels.height];
  }

  /** New pixels of the same size; contrast chosen by hand is kept. */
  setPixels(pixels: ImagePixels): void {
    if (pixels.width !== this.#pixels.width || pixels.height !== this.#pixels.height)
      throw new Error(
        `set_image got ${pixels.width} x ${pixels.height} pixels for a layer of ${this.size.join(' x ')}; add a new layer.`,
      );
    this.#pixels = pixels;
    if (!this.#manual) this.#limits = defaultLimits(pixels);
    this.#repaint();
    this.ol.changed();
  }

  setLimits(limits: [number, number]): void {
    this.#manual = true;
    this.#limits = limits[0] < limits[1] ? limits : [limits[0], limits[0] + 1e-6];
    this.#repaint();
    this.ol.changed();
  }

  setSelected(): void {}

  options(): HTMLElement {
    const box = document.createElement('div');
    box.className = 'own-contrast';
    const [low, high] = valueRange(this.#pixels);
    const step = high - low > 20 ? 1 : (high - low) / 256;
    const lower = slider({ min: low, max: high, step, value: this.#limits[0] }, (value) => {
      this.setLimits([Math.min(value, this.#limits[1] - step), this.#limits[1]]);
    });
    const upper = slider({ min: low, max: high, step, value: this.#limits[1] }, (value) => {
      this.setLimits([this.#limits[0], Math.max(value, this.#limits[0] + step)]);
    });
    const show = () => {
      lower.set(this.#limits[0]);
      upper.set(this.#limits[1]);
    };
    const buttons = document.createElement('div');
    buttons.className = 'button-row';
    for (const [title, hint, limits] of [
      ['Auto', 'Contrast from the 1st to the 99th percentile', () => percentileLimits(this.#pixels)],
      ['Full', 'Contrast over the whole range of values', () => valueRange(this.#pixels)],
    ] as const) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = title;
      button.title = hint;
      button.addEventListener('click', () => {
        this.setLimits(limits());
        show();
      });
      buttons.append(button);
    }
    box.append(labelled('Black', lower.element), labelled('White', upper.element), buttons);
    return box;
  }

  dispose(): void {
    this.ol.dispose();
  }

  #repaint(): void {
    paintPixels(this.#pixels, this.#limits, this.#picture);
  }
}

function defaultLimits(pixels: ImagePixels): [number, number] {
  return pixels.finished ? [0, 255] : percentileLimits(pixels);
}
