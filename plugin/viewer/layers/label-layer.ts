import { remoteFunctions } from '../../remote-functions.js';
import { checkbox, labelled, slider } from '../controls.js';
import type { LabelLayerConfig, LabelUpdate } from '../protocol.js';
import type { Stage } from '../stage.js';
import { CanvasLayer, type Viewport } from './canvas-layer.js';
import { canvasBox, colorize, type LabelObject, objectAt, paintIndices, type RasterView } from './label-raster.js';
import { type LayerApi, randomId, type ViewerLayer } from './layer.js';

/** `labels`: many objects as pixel runs, sent as differences and painted for the screen. */
export class LabelLayer implements ViewerLayer {
  readonly id = randomId();
  readonly type = 'labels';
  readonly name: string;
  readonly listed: boolean;
  readonly ol: CanvasLayer;
  readonly api: LayerApi;
  readonly #stage: Stage;
  readonly #config: LabelLayerConfig;
  #objects: LabelObject[] = [];
  #shuffle = 0;
  #outline: boolean;
  #fill = 0.4;
  #indices = new Uint32Array(0);
  #image: ImageData | undefined;

  constructor(config: LabelLayerConfig, stage: Stage) {
    this.#config = config;
    this.#stage = stage;
    this.name = config.name;
    this.listed = config.listed !== false;
    this.#outline = config.outline === true;
    this.ol = new CanvasLayer((context, view) => this.#draw(context, view));
    if (config.opacity !== undefined) this.ol.setOpacity(config.opacity);
    this.api = remoteFunctions({
      name: this.name,
      id: this.id,
      update_labels: (update: LabelUpdate) => this.update(update),
      update_config: (change: { outline?: boolean; fill?: number; opacity?: number; visible?: boolean }) => {
        if (change.outline !== undefined) this.#outline = change.outline;
        if (change.fill !== undefined) this.#fill = change.fill;
        if (change.opacity !== undefined) this.ol.setOpacity(change.opacity);
        if (change.visible !== undefined) this.ol.setVisible(change.visible);
        this.ol.changed();
      },
    });
  }

  get objects(): readonly LabelObject[] {
    return this.#objects;
  }

  update(update: LabelUpdate): void {
    const known = new Map(this.#objects.map((object) => [object.id, object]));
    update.ids.forEach((id, k) => {
      const [y0, x0, y1, x1] = update.boxes.subarray(4 * k, 4 * k + 4);
      const color = update.colors[k];
      if (y0 === undefined || x0 === undefined || y1 === undefined || x1 === undefined || color === undefined)
        throw new Error(`Object ${id} came without its box or its colour.`);
      const runs = update.runs.slice(update.offsets[k], update.offsets[k + 1]);
      const area = runs.reduce((sum, run, r) => (r % 2 === 1 ? sum + run : sum), 0);
      known.set(id, { id, color, box: [y0, x0, y1, x1], runs, area });
    });
    this.#objects = Array.from(update.order, (id) => known.get(id)).filter((object) => object !== undefined);
    this.ol.changed();
  }

  /** The object at a map coordinate. */
  at(coordinate: readonly [x: number, y: number]): LabelObject | undefined {
    const [row, column] = this.#stage.toImage(coordinate);
    return objectAt(this.#objects, Math.floor(row), Math.floor(column));
  }

  /** @param extend with Shift held */
  pick(id: number, extend = false): void {
    this.#config.pick_callback?.(id, extend);
  }

  setSelected(): void {}

  options(): HTMLElement {
    const box = document.createElement('div');
    const outline = checkbox('Outlines only', this.#outline, (on) => {
      this.#outline = on;
      this.ol.changed();
    });
    const fill = slider({ min: 0, max: 1, step: 0.05, value: this.#fill }, (value) => {
      this.#fill = value;
      this.ol.changed();
    });
    const colors = document.createElement('button');
    colors.type = 'button';
    colors.textContent = 'Reshuffle colours';
    colors.title = 'Give every object another colour';
    colors.addEventListener('click', () => {
      this.#shuffle++;
      this.ol.changed();
    });
    box.append(labelled('Fill', fill.element), outline, colors);
    return box;
  }

  dispose(): void {
    this.ol.dispose();
  }

  #draw(context: CanvasRenderingContext2D, view: Viewport): void {
    if (this.#objects.length === 0) return;
    const { width, height, scale } = view;
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#indices = new Uint32Array(width * height);
    }
    const raster: RasterView = { row: this.#config.size[1] - view.top, column: view.left, scale, width, height };
    const part = canvasBox(this.#objects, raster);
    const { left, top, right, bottom } = part;
    if (left >= right || top >= bottom) return;
    const thickness = Math.max(1, Math.round(1.5 * window.devicePixelRatio));
    // Outlines look `thickness` pixels beyond.
    this.#indices.fill(0, Math.max(0, top - thickness) * width, (bottom + thickness) * width);
    paintIndices(this.#objects, raster, this.#indices);
    const shown = this.#shuffle === 0 ? this.#objects : this.#objects.map((o) => ({ ...o, color: this.#colorOf(o) }));
    const pixels = new Uint32Array(this.#image.data.buffer);
    const style = { fill: this.#outline ? 0 : this.#fill, outline: 1, dashed: this.#config.dashed === true };
    colorize(this.#indices, shown, { view: raster, style, thickness, part }, pixels);
    context.putImageData(this.#image, 0, 0, left, top, right - left, bottom - top);
  }

  /** After a reshuffle the viewer's own colours: hues by the golden ratio, so that neighbours in number differ. */
  #colorOf(object: LabelObject): number {
    const hue = (object.id * 0.618033988749895 + this.#shuffle * 0.381966) % 1;
    const channel = (n: number) => {
      const k = (n + hue * 12) % 12;
      return Math.round(255 * (0.58 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return (channel(0) << 16) | (channel(8) << 8) | channel(4);
  }
}
