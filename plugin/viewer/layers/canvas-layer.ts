import Layer from 'ol/layer/Layer.js';
import type { FrameState } from 'ol/Map.js';
import { itemAt } from '../../../src/items.js';
import { pair } from '../coordinates.js';
import { contextOf } from '../surfaces.js';

/** The part of the map on a canvas: `scale` canvas pixels per image pixel, image coordinate (left, top) at its corner. */
export interface Viewport {
  readonly left: number;
  /** Map coordinate (y up) of the upper edge. */
  readonly top: number;
  readonly scale: number;
  readonly width: number;
  readonly height: number;
}

/** Above this, a redraw while the user drags would be felt: the last picture is moved instead. */
const SLOW_MS = 14;

/**
 * A layer that draws only what is on screen, on a canvas of the size of the screen, so image size does not matter. OpenLayers'
 * own image sources resample and are built around one picture per source; exact pixels need less.
 */
export class CanvasLayer extends Layer {
  readonly canvas = document.createElement('canvas');
  readonly #element = document.createElement('div');
  readonly #draw: (context: CanvasRenderingContext2D, viewport: Viewport) => void;
  #drawn: Viewport | undefined;
  /** The layer's, when it was drawn: OpenLayers asks every layer for every frame, whichever of them changed. */
  #revision = -1;
  #cost = 0;

  constructor(draw: (context: CanvasRenderingContext2D, viewport: Viewport) => void) {
    super({});
    this.#draw = draw;
    this.#element.className = 'ol-layer pixel-layer';
    this.#element.append(this.canvas);
  }

  override getSourceState(): 'ready' {
    return 'ready';
  }

  override render(frame: FrameState | null): HTMLElement | null {
    if (!frame) return null;
    const viewport = viewportOf(frame);
    const state = itemAt(frame.layerStatesArray, frame.layerIndex);
    this.#element.style.opacity = String(state.opacity);
    const moving = frame.viewHints.some((hint) => hint > 0);
    if (moving && this.#cost > SLOW_MS && this.#drawn) {
      this.canvas.style.transform = transformBetween(this.#drawn, viewport, frame.pixelRatio);
      return this.#element;
    }
    if (this.#drawn && this.#revision === this.getRevision() && sameViewport(this.#drawn, viewport)) {
      this.canvas.style.transform = '';
      return this.#element;
    }
    const started = performance.now();
    const { width, height } = viewport;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.canvas.style.width = `${width / frame.pixelRatio}px`;
    this.canvas.style.height = `${height / frame.pixelRatio}px`;
    this.canvas.style.transform = '';
    const context = contextOf(this.canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#draw(context, viewport);
    this.#drawn = viewport;
    this.#revision = this.getRevision();
    this.#cost = performance.now() - started;
    return this.#element;
  }
}

function viewportOf(frame: FrameState): Viewport {
  const { center, resolution } = frame.viewState;
  const [width, height] = pair(frame.size);
  const [x, y] = pair(center);
  return {
    left: x - (width / 2) * resolution,
    top: y + (height / 2) * resolution,
    scale: frame.pixelRatio / resolution,
    width: Math.round(width * frame.pixelRatio),
    height: Math.round(height * frame.pixelRatio),
  };
}

function sameViewport(a: Viewport, b: Viewport): boolean {
  return a.left === b.left && a.top === b.top && a.scale === b.scale && a.width === b.width && a.height === b.height;
}

/** CSS that moves a picture drawn for one viewport to where it belongs in another. */
function transformBetween(from: Viewport, to: Viewport, pixelRatio: number): string {
  const zoom = to.scale / from.scale;
  const x = ((from.left - to.left) * to.scale) / pixelRatio;
  const y = ((to.top - from.top) * to.scale) / pixelRatio;
  return `translate(${x}px, ${y}px) scale(${zoom})`;
}
