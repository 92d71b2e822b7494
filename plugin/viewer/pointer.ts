import { shiftKeyOnly } from 'ol/events/condition.js';
import DragBox from 'ol/interaction/DragBox.js';
import { handTime } from '../hand-time.js';
import { extentOf, pair } from './coordinates.js';
import type { LayerStack } from './layer-stack.js';
import { LabelLayer } from './layers/label-layer.js';
import type { LabelObject } from './layers/label-raster.js';
import { VectorLayer } from './layers/vector-layer.js';
import type { Listeners } from './listeners.js';
import type { PixelScale } from './protocol.js';
import type { Stage } from './stage.js';
import { viewportOf } from './surfaces.js';

/** Reports pointer moves and view changes, at most once a frame; shows id and area of the object under the pointer; picks. */
export function watchPointer(
  stage: Stage,
  stack: LayerStack,
  listeners: Listeners,
  tooltip: HTMLElement,
  scale: () => PixelScale,
  isDrawing: () => boolean,
): void {
  const { map } = stage;
  let pixel: readonly [x: number, y: number] | undefined;
  let scheduled = false;
  /** In the image as it lies now: it moves below a pointer that rests, too. */
  const place = () => {
    const coordinate = pixel && (map.getCoordinateFromPixel([...pixel]) as number[] | null); // null before the first frame
    return coordinate ? pair(coordinate) : undefined;
  };
  const report = () => {
    scheduled = false;
    const coordinate = place();
    if (!coordinate) return;
    listeners.tell('pointer', stage.contains(coordinate) ? coordinate : null);
    describe();
  };
  const schedule = () => {
    if (scheduled || !pixel) return;
    scheduled = true;
    requestAnimationFrame(report);
  };
  const describe = () => {
    const coordinate = place();
    if (!pixel || !coordinate) return;
    const hit = objectUnder(stack, coordinate);
    tooltip.hidden = hit === undefined;
    if (!hit) return;
    tooltip.textContent = `Object ${hit.object.id} · ${areaText(hit.object.area, scale())}`;
    const [width, height] = pair(map.getSize() ?? [0, 0]);
    tooltip.style.left = `${Math.min(pixel[0] + 14, width - tooltip.offsetWidth - 4)}px`;
    tooltip.style.top = `${Math.min(pixel[1] + 18, height - tooltip.offsetHeight - 4)}px`;
  };
  map.on('pointermove', (event) => {
    if (event.dragging) return;
    pixel = pair(event.pixel);
    schedule();
  });
  viewportOf(map).addEventListener('pointerleave', () => {
    pixel = undefined;
    tooltip.hidden = true;
    listeners.tell('pointer', null);
  });
  map.on('click', (event) => {
    const { altKey, ctrlKey, shiftKey } = event.originalEvent as MouseEvent;
    if (ctrlKey || (!altKey && !shiftKey && isDrawing())) return;
    const hit = objectUnder(stack, pair(event.coordinate));
    if (hit) hit.layer.pick(hit.object.id, shiftKey);
  });
  // Objects come and go under a pointer that rests.
  map.on('postrender', describe);
  map.on('moveend', () => {
    const extent = map.getView().calculateExtent(map.getSize());
    listeners.tell('view', extentOf(extent));
    schedule();
  });
}

function areaText(pixels: number, { size, unit }: PixelScale): string {
  const inPixels = `${pixels.toLocaleString('en')} px`;
  return unit === 'px' ? inPixels : `${inPixels} · ${Number((pixels * size * size).toPrecision(4))} ${unit}²`;
}

function objectUnder(
  stack: LayerStack,
  coordinate: readonly [x: number, y: number],
): { layer: LabelLayer; object: LabelObject } | undefined {
  for (const layer of [...stack.layers].reverse()) {
    if (!(layer instanceof LabelLayer) || !layer.listed || !layer.ol.getVisible()) continue;
    const object = layer.at(coordinate);
    if (object) return { layer, object };
  }
  return undefined;
}

/** True if a click now draws something in the selected layer. */
export function drawsOnClick(stack: LayerStack): boolean {
  return stack.selected instanceof VectorLayer && stack.selected.drawing;
}

/** The farthest that a click moves on its way from down to up, in CSS pixels. */
const CLICK_REACH = 6;

/** Reports clicks with the right button, or with Ctrl held where there is one button only; no menu opens over the image. */
export function watchSecondary({ map }: Stage, listeners: Listeners): void {
  const viewport = viewportOf(map);
  let down: PointerEvent | undefined;
  viewport.addEventListener('contextmenu', (event) => event.preventDefault());
  viewport.addEventListener('pointerdown', (event) => {
    down = event.button === 2 || (event.button === 0 && event.ctrlKey) ? event : undefined;
  });
  viewport.addEventListener('pointerup', (event) => {
    const start = down;
    down = undefined;
    if (!start || event.button !== start.button) return;
    if (Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > CLICK_REACH) return;
    listeners.tell('secondary', pair(map.getEventCoordinate(event)), handTime(event));
  });
}

/** A box dragged with Shift held chooses objects, whatever tool is in hand. */
export function watchBand({ map }: Stage, listeners: Listeners): void {
  const band = new DragBox({ condition: shiftKeyOnly, className: 'band', minArea: CLICK_REACH ** 2 });
  band.on('boxend', () => listeners.tell('band', extentOf(band.getGeometry().getExtent())));
  map.addInteraction(band);
}
