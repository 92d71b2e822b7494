import { isDeepStrictEqual } from 'node:util';
import { decode } from 'fast-png';
import type { Tensor, YX } from '../../src/ndimage/array.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import type { ViewObject } from '../../src/presenter/viewer.js';
import { seededRandom } from './random.js';
import { eventually } from './screen.js';
import { type ViewerPage, type ViewerSite, viewerSite } from './viewer-page.js';

const HEIGHT = 240;
const WIDTH = 320;

/** Every pixel has a colour of its own by row and column. */
export function checker(seed: number): Tensor<Uint8Array> {
  const random = seededRandom(seed);
  const data = new Uint8Array(HEIGHT * WIDTH * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(random() * 256);
  return { data, shape: [HEIGHT, WIDTH, 3] };
}

export function disc(id: number, [y, x]: YX, radius: number, color: string): ViewObject {
  const side = 2 * radius + 1;
  const bitmap = Uint8Array.from({ length: side * side }, (_, i) =>
    Number(Math.hypot(Math.floor(i / side) - radius, (i % side) - radius) <= radius),
  );
  return { id, color, mask: maskFromBitmap(bitmap, [side, side], [y - radius, x - radius]) };
}

/** Our viewer with a picture in it and the point tool in hand before each test of the surrounding `describe`. */
export interface ViewerStory {
  readonly v: ViewerPage;
  readonly picture: Tensor<Uint8Array>;
  pixelAt(at: YX): number[];
  /** RGB on screen at image positions, from a screenshot of the page. */
  colorsAt(places: readonly YX[]): Promise<number[][]>;
  /** What is on screen: left and top in map coordinates, and image pixels per screen pixel. */
  view(): Promise<number[]>;
  /** The view that comes to rest after another one. */
  restAfter(before: readonly number[]): Promise<number[]>;
  /** Zooms in on the middle of the image until a pixel is at least `size` screen pixels wide. */
  zoomIn(size: number): Promise<void>;
  showAll(): Promise<void>;
}

export function viewerStory(): ViewerStory {
  let site: ViewerSite;
  let v: ViewerPage;
  const picture = checker(1);

  before(async () => {
    site = await viewerSite();
    v = await site.open();
    await v.viewer.showImage('checker', picture);
    await v.settle();
  });
  after(() => site?.close());

  beforeEach(async () => {
    await v.viewer.showPrompts([]);
    await v.viewer.setTool({ kind: 'point', positive: true, brushSize: 6 });
    await v.settle();
    await v.clearEvents();
  });

  async function view(): Promise<number[]> {
    return JSON.parse((await v.frame.evaluate(() => document.getElementById('map')?.dataset.view)) ?? '[]');
  }

  async function restAfter(before: readonly number[]): Promise<number[]> {
    let last = before;
    return eventually(
      'a view at rest',
      async () => {
        const seen = await view();
        const rests = isDeepStrictEqual(seen, last) && !isDeepStrictEqual(seen, before);
        last = seen;
        return rests ? seen : undefined;
      },
      60,
    );
  }

  return {
    get v() {
      return v;
    },
    picture,
    pixelAt([y, x]) {
      const at = 3 * (Math.floor(y) * WIDTH + Math.floor(x));
      return Array.from(picture.data.slice(at, at + 3));
    },
    async colorsAt(places) {
      const positions = await v.allOnScreen(places);
      const xs = positions.map(([x]) => Math.floor(x));
      const ys = positions.map(([, y]) => Math.floor(y));
      const [x0, y0] = [Math.min(...xs), Math.min(...ys)];
      const clip = { x: x0, y: y0, width: Math.max(...xs) - x0 + 1, height: Math.max(...ys) - y0 + 1 };
      const shot = decode(await v.page.screenshot({ clip }));
      return positions.map((_, k) => {
        const at = ((ys[k] - y0) * shot.width + xs[k] - x0) * shot.channels;
        return Array.from(shot.data.slice(at, at + 3));
      });
    },
    view,
    restAfter,
    async zoomIn(size) {
      const button = v.frame.getByRole('button', { name: 'Zoom in' });
      for (let before = await view(); 1 / before[2] < size; before = await restAfter(before)) await button.click();
    },
    async showAll() {
      await v.frame.getByRole('button', { name: 'Show the whole image' }).click();
      await v.settle();
    },
  };
}
