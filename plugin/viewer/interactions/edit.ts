import type Feature from 'ol/Feature.js';
import Point from 'ol/geom/Point.js';
import Polygon from 'ol/geom/Polygon.js';
import PointerInteraction from 'ol/interaction/Pointer.js';
import type MapBrowserEvent from 'ol/MapBrowserEvent.js';
import type VectorSource from 'ol/source/Vector.js';
import { present } from '../../../src/items.js';
import { type Extent, extentOf, pair } from '../coordinates.js';
import { isSpaceHeld } from '../held-space.js';
import { viewportOf } from '../surfaces.js';

const REACH = 8;

/** What the pointer holds: the whole feature, or one side or corner of a box (which x and y of it follow). */
interface Grip {
  readonly feature: Feature;
  readonly corner?: { readonly x?: 0 | 1; readonly y?: 0 | 1 };
  /** The box when it was taken hold of. */
  readonly box?: Extent;
}

/**
 * Points are dragged, boxes by their corners and sides, other outlines as a whole by their edge; a click on any selects it.
 * The inside of a box stays free, since that is where the next point goes.
 */
export class EditInteraction extends PointerInteraction {
  readonly #source: VectorSource;
  readonly #onSelect: (feature: Feature | undefined) => void;
  readonly #onMoved: (feature: Feature) => void;
  #moved = false;
  #grip: Grip | undefined;
  #last: readonly [x: number, y: number] = [0, 0];
  #selected: Feature | undefined;

  constructor(
    source: VectorSource,
    onSelect: (feature: Feature | undefined) => void,
    onMoved: (feature: Feature) => void,
  ) {
    super();
    this.#source = source;
    this.#onSelect = onSelect;
    this.#onMoved = onMoved;
  }

  /** What is being moved now: its changes on the way are nobody's business. */
  get moving(): Feature | undefined {
    return this.#grip?.feature;
  }

  override handleDownEvent(event: MapBrowserEvent<PointerEvent>): boolean {
    const { button, ctrlKey } = event.originalEvent;
    if (button !== 0 || ctrlKey || isSpaceHeld() || isPainting(event)) return false;
    this.#grip = this.#gripAt(event);
    this.#last = pair(event.coordinate);
    this.#moved = false;
    if (!this.#grip) this.#onSelectOnce(undefined);
    return this.#grip !== undefined;
  }

  override handleDragEvent(event: MapBrowserEvent<PointerEvent>): void {
    if (!this.#grip) return;
    const { feature, corner, box } = this.#grip;
    const [x, y] = pair(event.coordinate);
    if (corner && box) {
      const [left, bottom, right, top] = box;
      const [xa, xb] = [corner.x === 0 ? x : left, corner.x === 1 ? x : right];
      const [ya, yb] = [corner.y === 0 ? y : bottom, corner.y === 1 ? y : top];
      feature.setGeometry(boxPolygon([xa, ya, xb, yb]));
    } else feature.getGeometry()?.translate(x - this.#last[0], y - this.#last[1]);
    this.#last = [x, y];
    this.#moved = true;
  }

  override handleUpEvent(): boolean {
    const feature = this.#grip?.feature;
    this.#grip = undefined;
    if (feature) this.#onSelectOnce(feature);
    if (feature && this.#moved) this.#onMoved(feature);
    return false;
  }

  override handleMoveEvent(event: MapBrowserEvent<PointerEvent>): void {
    if (isPainting(event)) return;
    const grip = this.#gripAt(event);
    viewportOf(event.map).style.cursor = grip ? (grip.corner ? cursorOf(grip.corner) : 'move') : '';
  }

  #onSelectOnce(feature: Feature | undefined): void {
    if (feature === this.#selected && feature === undefined) return;
    this.#selected = feature;
    this.#onSelect(feature);
  }

  #gripAt(event: MapBrowserEvent<PointerEvent>): Grip | undefined {
    const reach = REACH * (event.map.getView().getResolution() ?? 1);
    const [x, y] = pair(event.coordinate);
    let best: Grip | undefined;
    let bestDistance = reach;
    const [low, high] = [
      [x - reach, y - reach],
      [x + reach, y + reach],
    ];
    for (const feature of this.#source.getFeaturesInExtent([...low, ...high])) {
      const geometry = feature.getGeometry();
      if (!geometry) continue;
      const box = geometry instanceof Polygon && isBox(geometry) ? extentOf(geometry.getExtent()) : undefined;
      const corner = box && cornerAt(box, x, y, reach);
      const edge = geometry instanceof Polygon ? present(geometry.getLinearRing(0), 'the outer ring') : geometry;
      const [nearX, nearY] = pair(edge.getClosestPoint([x, y]));
      const distance = Math.hypot(nearX - x, nearY - y) * (geometry instanceof Point ? 0.5 : 1);
      if (distance < bestDistance) {
        bestDistance = distance;
        best = { feature, corner, box };
      }
    }
    return best;
  }
}

/** A brush paints over prompts instead of moving them; see PaintInteraction. */
function isPainting(event: MapBrowserEvent<PointerEvent>): boolean {
  return viewportOf(event.map).classList.contains('painting');
}

function isBox(geometry: Polygon): boolean {
  const ring = geometry.getCoordinates()[0];
  if (ring?.length !== 5) return false;
  const [x0, y0, x1, y1] = geometry.getExtent();
  return ring.every(([x, y]) => (x === x0 || x === x1) && (y === y0 || y === y1));
}

/** A side may have been dragged past the opposite one. */
function boxPolygon([xa, ya, xb, yb]: Extent): Polygon {
  const [x0, x1, y0, y1] = [Math.min(xa, xb), Math.max(xa, xb), Math.min(ya, yb), Math.max(ya, yb)];
  return new Polygon([
    [
      [x0, y0],
      [x1, y0],
      [x1, y1],
      [x0, y1],
      [x0, y0],
    ],
  ]);
}

/** Which of the box's sides are within reach; a corner holds two. */
function cornerAt(box: Extent, x: number, y: number, reach: number): Grip['corner'] {
  const near = (value: number, low: number, high: number) =>
    Math.abs(value - low) < reach ? 0 : Math.abs(value - high) < reach ? 1 : undefined;
  const corner = { x: near(x, box[0], box[2]), y: near(y, box[1], box[3]) };
  return corner.x === undefined && corner.y === undefined ? undefined : (corner as Grip['corner']);
}

function cursorOf({ x, y }: NonNullable<Grip['corner']>): string {
  if (x === undefined) return 'ns-resize';
  if (y === undefined) return 'ew-resize';
  return x === y ? 'nesw-resize' : 'nwse-resize';
}
