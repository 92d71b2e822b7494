import type { PixelScale } from './protocol.js';
import type { Stage } from './stage.js';

const NICE = [1, 2, 5];
const TARGET = 110;

/** A bar of a round length, about a hundred screen pixels long; in image pixels until the size of a pixel is known. */
export class ScaleBar {
  readonly #stage: Stage;
  readonly #bar: HTMLElement;
  #scale: PixelScale = { size: 1, unit: 'px' };

  constructor(stage: Stage, bar: HTMLElement) {
    this.#stage = stage;
    this.#bar = bar;
    stage.map.on('postrender', () => this.#update());
  }

  get scale(): PixelScale {
    return this.#scale;
  }

  set(scale: PixelScale = { size: 1, unit: 'px' }): void {
    this.#scale = scale;
    this.#update();
  }

  #update(): void {
    const { size, unit } = this.#scale;
    const perScreenPixel = (this.#stage.map.getView().getResolution() ?? 1) * size;
    const longest = TARGET * perScreenPixel;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = Math.max(...NICE.map((n) => n * power).filter((n) => n <= longest * (1 + 1e-9)));
    this.#bar.style.width = `${length / perScreenPixel}px`;
    this.#bar.textContent = `${Number(length.toPrecision(3))} ${unit}`;
    this.#bar.hidden = this.#stage.size === undefined;
  }
}
