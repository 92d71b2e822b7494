import { canvasBox, colorize, type LabelObject, paintIndices } from '../../plugin/viewer/layers/label-raster.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import type { ViewObject } from '../../src/presenter/viewer.js';
import { type ViewerPage, viewerSite } from '../support/viewer-page.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * From the call of the adapter to the painted frame, in Chromium without a GPU, over imjoy-core: one object more among N
 * present, and all N anew; as pixel runs (our viewer) and as MultiPolygon strings (what Kaibu takes). docs/viewer.md has
 * the table and what was chosen.
 */
const COUNTS = [1, 50, 500, 3000] as const;
const SIDE = 1024;
const SPACING = 18;
const REPEATS = 9;
const LIMIT_500 = 60;

function discs(count: number): ViewObject[] {
  const columns = Math.floor(SIDE / SPACING);
  return Array.from({ length: count }, (_, k) => {
    const radius = 6 + (k % 3);
    const side = 2 * radius + 1;
    const bitmap = Uint8Array.from({ length: side * side }, (_, i) =>
      Number(Math.hypot(Math.floor(i / side) - radius, (i % side) - radius) <= radius),
    );
    const corner = [Math.floor(k / columns) * SPACING, (k % columns) * SPACING] as const;
    const color = `#${['ff6b6b', 'ffd166', '06d6a0', '4cc9f0', 'b388ff', 'f78fb3'][k % 6]}`;
    return { id: k + 1, color, mask: maskFromBitmap(bitmap, [side, side], corner) };
  });
}

export default async function bench(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const site = await viewerSite();
  try {
    for (const [way, query] of [
      ['runs', ''],
      ['polygons', '?plain'],
    ] as const) {
      const v = await site.open(query);
      await v.viewer.showImage('bench', { data: new Uint8Array(SIDE * SIDE * 3).fill(90), shape: [SIDE, SIDE, 3] });
      for (const count of COUNTS) {
        const { one, all } = await updateTimes(v, discs(count + 1));
        if (way === 'runs' && count === 500) figures.push(atMost('layer_update_500_ms', one, 'ms', LIMIT_500));
        figures.push(reported(`layer_update_${way}_${count}_ms`, one, 'ms'));
        figures.push(reported(`layer_replace_${way}_${count}_ms`, all, 'ms'));
      }
      await v.close();
    }
  } finally {
    await site.close();
  }
  figures.push(reported('label_paint_3000_ms', paintTime(discs(3000)), 'ms'));
  return figures;
}

/** Median milliseconds until painted, of adding the last object and of showing all with other colours. */
async function updateTimes(v: ViewerPage, objects: ViewObject[]): Promise<{ one: number; all: number }> {
  const times = await v.page.evaluate(
    async ([given, repeats]) => {
      const { viewer } = globalThis as unknown as { viewer: import('../../src/presenter/viewer.js').Viewer };
      const frame = document.querySelector('iframe')?.contentWindow as Window;
      const timed = async (shown: readonly ViewObject[]) => {
        const started = performance.now();
        await viewer.showObjects('committed_objects', shown);
        await new Promise((resolve) => frame.requestAnimationFrame(() => frame.setTimeout(resolve, 0)));
        return performance.now() - started;
      };
      const one: number[] = [];
      const all: number[] = [];
      for (let k = 0; k < repeats; k++) {
        const recolored = given.map((object, i) => ({ ...object, color: given[(i + k + 1) % given.length].color }));
        all.push(await timed(recolored.slice(0, -1)));
        one.push(await timed(recolored));
      }
      return { one, all };
    },
    [objects, REPEATS] as const,
  );
  return { one: median(times.one), all: median(times.all) };
}

/** What one frame costs: all objects onto a screen of 1200 x 800, in milliseconds. */
function paintTime(objects: readonly ViewObject[]): number {
  const shown: LabelObject[] = objects.map(({ id, color, mask }) => ({
    id,
    color: Number.parseInt(color.slice(1), 16),
    box: [...mask.box],
    runs: mask.runs,
    area: mask.area,
  }));
  const view = { row: 0, column: -128, scale: 0.78, width: 1200, height: 800 };
  const indices = new Uint32Array(view.width * view.height);
  const pixels = new Uint32Array(indices.length);
  const times: number[] = [];
  for (let k = 0; k < REPEATS; k++) {
    const started = performance.now();
    indices.fill(0);
    paintIndices(shown, view, indices);
    const part = canvasBox(shown, view);
    colorize(indices, shown, { view, style: { fill: 0.4, outline: 1 }, thickness: 2, part }, pixels);
    times.push(performance.now() - started);
  }
  return median(times);
}
