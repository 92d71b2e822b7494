import { defaults as defaultControls } from 'ol/control/defaults.js';
import { getCenter } from 'ol/extent.js';
import DragPan from 'ol/interaction/DragPan.js';
import { defaults as defaultInteractions } from 'ol/interaction/defaults.js';
import OlMap from 'ol/Map.js';
import Projection from 'ol/proj/Projection.js';
import View from 'ol/View.js';
import { itemAt } from '../../src/items.js';
import type { ViewMove } from '../../src/presenter/viewer.js';
import { pair } from './coordinates.js';
import { movesView } from './held-space.js';

/** CSS pixels around an image that is fitted, and between it and the view's buttons. */
const MARGIN = 24;
const GAP = 6;

/**
 * The map and its image frame. Coordinates are Kaibu's: x right, y up, origin at the lower left corner of the image, one
 * unit per image pixel; image row r lies between y = height - r - 1 and y = height - r.
 */
export class Stage {
  readonly map: OlMap;
  /** [width, height] of the image, once there is one. */
  size: readonly [number, number] | undefined;
  /** Where the last `fit` put the view: x and y of its centre, map units per CSS pixel. */
  #fitted: readonly number[] = [];
  #buttons: HTMLElement | undefined;
  /** CSS pixels of the lower edge that something lies over. */
  #covered = 0;

  constructor(target: HTMLElement) {
    this.map = new OlMap({
      target,
      controls: defaultControls({ attribution: false, rotate: false, zoom: false }),
      interactions: defaultInteractions({
        altShiftDragRotate: false,
        shiftDragZoom: false, // chooses objects instead (pointer.ts)
        pinchRotate: false,
        doubleClickZoom: false,
      }).extend([
        // Whatever the tool does with the first button.
        new DragPan({ condition: ({ originalEvent }) => movesView(originalEvent) }),
      ]),
      view: imageView([1024, 1024]),
    });
    // Whoever has not moved the view goes on seeing all of the image, however the window changes.
    this.map.on('change:size', () => {
      if (this.#isFitted()) this.fit();
    });
    // Where the image lies on screen, for automation: map x and y of the upper left corner, map units per CSS pixel, size.
    this.map.on('postrender', () => {
      const [x0, , , y1] = this.map.getView().calculateExtent(this.map.getSize());
      target.dataset.view = JSON.stringify([x0, y1, this.map.getView().getResolution(), ...(this.size ?? [0, 0])]);
    });
  }

  /** The map leaves its element, and lets go of the document, whose keys it hears. */
  close(): void {
    this.map.setTarget(undefined);
  }

  /** Makes `size` the image frame and shows all of it. */
  setFrame(size: readonly [number, number]): void {
    this.size = size;
    this.map.setView(imageView(size));
    this.fit();
  }

  fit(): void {
    const [width, height] = this.size ?? [1024, 1024];
    this.map.updateSize();
    this.map.getView().fit([0, 0, width, height], { padding: this.#padding(width, height) });
    this.#fitted = this.#view();
  }

  /** The view's buttons, which lie over the upper right corner of the map: an image that is fitted keeps clear of them. */
  keepClearOf(buttons: HTMLElement): void {
    this.#buttons = buttons;
    if (this.#isFitted()) this.fit();
  }

  /** Above, right, below and left of the image, in CSS pixels, so that it is as large as it can be. */
  #padding(width: number, height: number): [number, number, number, number] {
    const [across, down] = pair(this.map.getSize() ?? [0, 0]);
    const plain: [number, number, number, number] = [MARGIN, MARGIN, Math.max(MARGIN, this.#covered), MARGIN];
    const map = this.map.getTargetElement()?.getBoundingClientRect();
    const buttons = this.#buttons?.getBoundingClientRect();
    if (!map || !buttons?.width) return plain;
    const scaleIn = ([top, right, bottom, left]: readonly [number, number, number, number]) =>
      Math.min((across - left - right) / width, (down - top - bottom) / height);
    const isCovered = (padding: readonly [number, number, number, number]) => {
      const [top, right, bottom, left] = padding;
      const scale = scaleIn(padding);
      const rightEdge = (across + left - right + width * scale) / 2;
      const topEdge = (down + top - bottom - height * scale) / 2;
      return rightEdge > buttons.left - map.left && topEdge < buttons.bottom - map.top;
    };
    if (!isCovered(plain)) return plain;
    const [, , below] = plain;
    const beside: typeof plain = [MARGIN, map.right - buttons.left + GAP, below, MARGIN];
    const under: typeof plain = [buttons.bottom - map.top + GAP, MARGIN, below, MARGIN];
    return scaleIn(beside) >= scaleIn(under) ? beside : under;
  }

  /** Something lies over so many CSS pixels of the lower edge: all of the image is shown above it. */
  coverBelow(height: number): void {
    if (height === this.#covered) return;
    const fitted = this.#isFitted();
    this.#covered = height;
    if (fitted) this.fit();
  }

  #view(): readonly number[] {
    const view = this.map.getView();
    return [...(view.getCenter() ?? []), view.getResolution() ?? 0];
  }

  #isFitted(): boolean {
    const view = this.#view();
    return (
      this.#fitted.length > 0 &&
      this.#fitted.every((value, i) => Math.abs(value - itemAt(view, i)) <= 1e-6 * Math.abs(value))
    );
  }

  zoomBy(factor: number): void {
    const view = this.map.getView();
    view.animate({ resolution: view.getResolution()! / factor, duration: 120 });
  }

  /** By CSS pixels of the content, to the right and down. */
  panBy(right: number, down: number): void {
    const view = this.map.getView();
    const resolution = view.getResolution() ?? 1;
    const [x, y] = pair(view.getCenter() ?? [0, 0]);
    view.setCenter(view.getConstrainedCenter([x + right * resolution, y - down * resolution]));
  }

  move(move: ViewMove): void {
    if ('fit' in move) this.fit();
    else if ('zoom' in move) this.zoomBy(move.zoom);
    else {
      const [width, height] = pair(this.map.getSize() ?? [0, 0]);
      this.panBy(move.by[1] * width, move.by[0] * height);
    }
  }

  /** Image (row, column) as real numbers of a map coordinate. */
  toImage([x, y]: readonly [x: number, y: number]): [row: number, column: number] {
    return [(this.size?.[1] ?? 0) - y, x];
  }

  contains([x, y]: readonly [x: number, y: number]): boolean {
    return this.size !== undefined && x >= 0 && y >= 0 && x < this.size[0] && y < this.size[1];
  }
}

function imageView(size: readonly [number, number]): View {
  const extent = [0, 0, size[0], size[1]];
  const longest = Math.max(...size);
  return new View({
    projection: new Projection({ code: 'image', units: 'pixels', extent }),
    center: getCenter(extent),
    resolution: longest / 512,
    minResolution: 1 / 64,
    maxResolution: Math.max(4, longest / 100),
    extent: [-size[0], -size[1], 2 * size[0], 2 * size[1]],
    constrainOnlyCenter: true,
    enableRotation: false,
  });
}
