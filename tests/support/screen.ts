import type { YX } from '../../src/ndimage/array.js';
import type { AnnotatorPage } from './annotator-page.js';

export type Colour = readonly [red: number, green: number, blue: number];

/** The colours that the viewer's image layer has at the centres of image pixels; black where it has drawn nothing. */
export async function coloursAt(annotator: AnnotatorPage, places: readonly YX[]): Promise<Colour[]> {
  const viewer = await annotator.viewer();
  return viewer.evaluate((wanted) => {
    const canvas = document.querySelector<HTMLCanvasElement>('.pixel-layer canvas');
    const view = JSON.parse(document.getElementById('map')?.dataset.view ?? '[]') as number[];
    const [left, top, resolution, , height] = view;
    // Read back at once: each reading is slow without a graphics card.
    const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height);
    return wanted.map(([y, x]): [number, number, number] => {
      if (!pixels) return [0, 0, 0];
      const scale = window.devicePixelRatio / resolution;
      const column = Math.floor((x + 0.5 - left) * scale);
      const row = Math.floor((top - (height - y - 0.5)) * scale);
      const at = 4 * (row * pixels.width + column);
      return [pixels.data[at] ?? 0, pixels.data[at + 1] ?? 0, pixels.data[at + 2] ?? 0];
    });
  }, places);
}

/** Size of the image that the viewer shows, [height, width]. */
export async function sizeOnScreen(annotator: AnnotatorPage): Promise<readonly [number, number]> {
  const viewer = await annotator.viewer();
  const view = await viewer.evaluate(() => document.getElementById('map')?.dataset.view);
  const [, , , width, height] = JSON.parse(view ?? '[]') as number[];
  return [height, width];
}

/** Waits until `check` gives something: what the screen shows follows the state a moment later. */
export async function eventually<T>(what: string, check: () => Promise<T | undefined>, seconds = 15): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const found = await check();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Not within ${seconds} s: ${what}`);
}
