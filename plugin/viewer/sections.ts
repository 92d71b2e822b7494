import Feature from 'ol/Feature.js';
import LineString from 'ol/geom/LineString.js';
import VectorLayer from 'ol/layer/Vector.js';
import VectorSource from 'ol/source/Vector.js';
import Stroke from 'ol/style/Stroke.js';
import Style from 'ol/style/Style.js';
import { opaque } from './layers/image-pixels.js';
import type { SectionConfig, SectionPicture } from './protocol.js';
import { sectionEdge } from './section-edge.js';
import type { Stage } from './stage.js';

type Place = SectionConfig['at'];

/**
 * Two pictures of a volume from the side, xz and yz, in true proportions: in a column beside the map, in narrow windows
 * in a row below. Lines mark the place they go through, in them and on the map; a drag in them chooses another, a click is
 * for the tool in hand, too. The edge towards the map makes them as large as wanted.
 */
export class Sections {
  readonly #root: HTMLElement;
  readonly #stage: Stage;
  readonly #onPlace: (at: Place, click?: SectionClick) => void;
  readonly #xz: SectionFigure;
  readonly #yz: SectionFigure;
  readonly #lines = new VectorSource();
  #shown: SectionConfig | undefined;
  #next: Place | undefined;

  constructor(root: HTMLElement, stage: Stage, onPlace: (at: Place, click?: SectionClick) => void) {
    this.#root = root;
    this.#stage = stage;
    this.#onPlace = onPlace;
    this.#xz = new SectionFigure('xz', ([across, down], { at }, click) => this.#choose([down, at[1], across], click));
    this.#yz = new SectionFigure('yz', ([across, down], { at }, click) => this.#choose([across, down, at[2]], click));
    root.append(sectionEdge(root), this.#xz.node, this.#yz.node);
    const style = new Style({ stroke: new Stroke({ color: 'rgba(255, 255, 255, 0.55)', width: 1, lineDash: [6, 5] }) });
    stage.map.addLayer(new VectorLayer({ source: this.#lines, style, zIndex: 1e6 }));
    new ResizeObserver(() => this.#layOut()).observe(root);
  }

  set(config: SectionConfig | undefined): void {
    const before = this.#shown;
    const wasOpen = before !== undefined;
    this.#shown = config;
    if (before && config && differInSliceOnly(before, config)) {
      this.#markSlice(config);
      return;
    }
    this.#root.hidden = config === undefined;
    document.body.classList.toggle('with-sections', config !== undefined);
    if (wasOpen !== (config !== undefined)) this.#stage.fit();
    this.#lines.clear(true);
    if (!config) return;
    if (config.xz) this.#xz.paint(config.xz);
    if (config.yz) this.#yz.paint(config.yz);
    const [, height, width] = config.shape;
    const [, row, column] = config.at;
    const [x, y] = [column + 0.5, height - row - 0.5];
    this.#lines.addFeatures(
      [
        [
          [0, y],
          [width, y],
        ],
        [
          [x, 0],
          [x, height],
        ],
      ].map((line) => new Feature(new LineString(line))),
    );
    this.#layOut();
  }

  #layOut(): void {
    const config = this.#shown;
    if (!config) return;
    const { at, shape, spacing } = config;
    const [slices, height, width] = shape;
    const depth = slices * spacing;
    const box = this.#root.getBoundingClientRect();
    const [across, down] = [box.width - 2 * PADDING, box.height - 2 * PADDING];
    const sideBySide = across > down;
    this.#root.classList.toggle('side-by-side', sideBySide);
    // One scale for both, so that they can be compared.
    const scale = sideBySide
      ? Math.min((across - GAP) / (width + depth), (down - CAPTION) / Math.max(height, depth))
      : Math.min(across / Math.max(width, depth), (down - 2 * CAPTION - GAP) / (depth + height));
    this.#xz.place(config, [width, slices], [width * scale, depth * scale], [at[2], at[0]], `y ${at[1] + 1}`);
    this.#yz.place(config, [slices, height], [depth * scale, height * scale], [at[0], at[1]], `x ${at[2] + 1}`);
  }

  /** Scrolling moves a line in each picture, and neither the map's lines nor the layout. */
  #markSlice(config: SectionConfig): void {
    const [slice, row, column] = config.at;
    this.#xz.mark(config, [column, slice]);
    this.#yz.mark(config, [slice, row]);
  }

  /** Drags come faster than the answer: once a frame is enough. */
  #choose(at: Place, click?: SectionClick): void {
    if (click) {
      this.#next = undefined;
      this.#onPlace(at, click);
      return;
    }
    if (!this.#next)
      requestAnimationFrame(() => {
        if (this.#next) this.#onPlace(this.#next);
        this.#next = undefined;
      });
    this.#next = at;
  }
}

/** Whether nothing is other in `b` than the slice that is on screen. */
function differInSliceOnly(a: SectionConfig, b: SectionConfig): boolean {
  const same = (x: readonly number[], y: readonly number[]) => x.every((value, k) => value === y[k]);
  return !b.xz && !b.yz && a.spacing === b.spacing && same(a.shape, b.shape) && same(a.at.slice(1), b.at.slice(1));
}

type SectionClick = 'tool' | 'negative';

/** CSS pixels between press and release that are still a click. */
const STILL = 4;

/** CSS pixels, as in styles.css. */
const PADDING = 12;
const CAPTION = 24;
const GAP = 12;

/** A picture with two lines over it. Places count across and down, in slices and pixels of the image. */
class SectionFigure {
  readonly node = document.createElement('figure');
  readonly #canvas = document.createElement('canvas');
  readonly #vertical = document.createElement('i');
  readonly #horizontal = document.createElement('i');
  readonly #caption = document.createElement('figcaption');
  readonly #name: string;
  #config: SectionConfig | undefined;
  #count: readonly [across: number, down: number] = [1, 1];
  #size: readonly [width: number, height: number] = [1, 1];

  constructor(
    name: string,
    onPlace: (at: readonly [across: number, down: number], config: SectionConfig, click?: SectionClick) => void,
  ) {
    this.#name = name;
    this.#canvas.dataset.section = name;
    const frame = document.createElement('div');
    frame.append(this.#canvas, this.#vertical, this.#horizontal);
    this.node.append(this.#caption, frame);
    let pressed: { readonly x: number; readonly y: number; readonly button: number } | undefined;
    const choose = (event: PointerEvent, click?: SectionClick) => {
      const box = this.#canvas.getBoundingClientRect();
      const [across, down] = this.#count;
      const place = (part: number, count: number) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
      if (this.#config)
        onPlace(
          [place((event.clientX - box.left) / box.width, across), place((event.clientY - box.top) / box.height, down)],
          this.#config,
          click,
        );
    };
    this.#canvas.addEventListener('pointerdown', (event) => {
      pressed = { x: event.clientX, y: event.clientY, button: event.button };
      if (event.button !== 0) return;
      this.#canvas.setPointerCapture(event.pointerId);
      choose(event);
    });
    this.#canvas.addEventListener('pointermove', (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) choose(event);
    });
    this.#canvas.addEventListener('pointerup', (event) => {
      const from = pressed;
      pressed = undefined;
      if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) > STILL) return;
      if (from.button === 0) choose(event, 'tool');
      else if (from.button === 2) choose(event, 'negative');
    });
    this.#canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  paint({ width, height, data }: SectionPicture): void {
    const picture = new ImageData(width, height);
    opaque(data, 0, width * height, picture.data);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#canvas.getContext('2d')?.putImageData(picture, 0, 0);
  }

  place(
    config: SectionConfig,
    count: readonly [across: number, down: number],
    size: readonly [width: number, height: number],
    at: readonly [across: number, down: number],
    where: string,
  ): void {
    this.#count = count;
    this.#size = size;
    this.#caption.textContent = `${this.#name} · ${where}`;
    const { style } = this.#canvas;
    style.width = `${Math.max(1, size[0])}px`;
    style.height = `${Math.max(1, size[1])}px`;
    this.mark(config, at);
  }

  /** Moves the two lines. */
  mark(config: SectionConfig, at: readonly [across: number, down: number]): void {
    this.#config = config;
    this.#vertical.style.left = `${((at[0] + 0.5) / this.#count[0]) * this.#size[0]}px`;
    this.#horizontal.style.top = `${((at[1] + 0.5) / this.#count[1]) * this.#size[1]}px`;
  }
}
