import type OlMap from 'ol/Map.js';
import { present } from '../../src/items.js';

/** What pictures are drawn on. */

export function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D;
export function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D;
export function contextOf(canvas: HTMLCanvasElement | OffscreenCanvas) {
  return present(canvas.getContext('2d'), 'a context for drawing on a canvas');
}

export function viewportOf(map: OlMap): HTMLElement {
  return present(map.getViewport(), 'the element of the map');
}
