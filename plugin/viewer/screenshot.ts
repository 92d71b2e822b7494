import type OlMap from 'ol/Map.js';
import { present } from '../../src/items.js';
import { pair } from './coordinates.js';
import { contextOf, viewportOf } from './surfaces.js';

/** What the map shows, scale bar included, as PNG bytes. */
export async function screenshot(map: OlMap, bar: HTMLElement): Promise<Uint8Array> {
  await new Promise<void>((resolve) => {
    map.once('rendercomplete', () => resolve());
    map.render();
  });
  const [width, height] = pair(map.getSize() ?? [1, 1]);
  const ratio = window.devicePixelRatio;
  const canvas = new OffscreenCanvas(Math.round(width * ratio), Math.round(height * ratio));
  const context = contextOf(canvas);
  context.fillStyle = getComputedStyle(viewportOf(map)).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  for (const layer of viewportOf(map).querySelectorAll<HTMLCanvasElement>('.ol-layers canvas')) {
    if (layer.width === 0 || layer.height === 0) continue;
    const opacity = present(layer.parentElement, 'the element of a layer').style.opacity;
    context.globalAlpha = opacity === '' ? 1 : Number(opacity);
    const matrix = new DOMMatrix(getComputedStyle(layer).transform);
    // CSS pixels of the layer's canvas to canvas pixels of the picture.
    const scale = layer.offsetWidth > 0 ? layer.offsetWidth / layer.width : 1 / ratio;
    context.setTransform(new DOMMatrix().scale(ratio).multiply(matrix).scale(scale));
    context.drawImage(layer, 0, 0);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.globalAlpha = 1;
  drawBar(context, map, bar);
  const blob = await canvas.convertToBlob({ type: 'image/png' });
  return new Uint8Array(await blob.arrayBuffer());
}

function drawBar(context: OffscreenCanvasRenderingContext2D, map: OlMap, bar: HTMLElement): void {
  const origin = viewportOf(map).getBoundingClientRect();
  const box = bar.getBoundingClientRect();
  const [x, y] = [box.left - origin.left, box.bottom - origin.top];
  context.fillStyle = '#ffffff';
  context.shadowColor = '#000000';
  context.shadowBlur = 4;
  context.fillRect(x, y - 4, box.width, 3);
  context.font = '12px system-ui, sans-serif';
  context.fillText(bar.textContent ?? '', x, y - 9);
}
