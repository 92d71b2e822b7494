import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import { type ViewerPage, type ViewerSite, viewerSite } from '../support/viewer-page.js';

const HEIGHT = 200;
const WIDTH = 300;

describe('the viewer in a browser', () => {
  let site: ViewerSite;
  let v: ViewerPage;
  before(async () => {
    mkdirSync('dist/screenshots', { recursive: true });
    site = await viewerSite();
    v = await site.open();
  });
  after(() => site.close());

  it('shows', async () => {
    const data = new Uint8Array(HEIGHT * WIDTH * 3);
    for (let y = 0; y < HEIGHT; y++)
      for (let x = 0; x < WIDTH; x++) data.set([x % 256, y, (x + y) % 256], 3 * (y * WIDTH + x));
    await v.viewer.showImage('a', { data, shape: [HEIGHT, WIDTH, 3] });
    const disc = new Uint8Array(50 * 50).map((_, i) =>
      Number(((i % 50) - 25) ** 2 + (Math.floor(i / 50) - 25) ** 2 < 400),
    );
    await v.viewer.showObjects('committed_objects', [
      { id: 3, color: '#ff8800', mask: maskFromBitmap(disc, [50, 50], [20, 30]) },
      { id: 4, color: '#00ccff', mask: maskFromBitmap(disc, [50, 50], [40, 60]) },
    ]);
    await v.viewer.showPlaneSlider({ count: 12, at: 3, axis: 'z' });
    await v.viewer.showCommands([
      { id: 'segment', title: 'Segment' },
      { id: 'commit', title: 'Commit' },
    ]);
    await v.click([100.5, 200.5]);
    await v.page.waitForTimeout(400);
    console.log(JSON.stringify(await v.events()), v.errors, v.outside);
    await v.page.screenshot({ path: 'dist/screenshots/viewer.png' });
    assert.ok(v);
  });
});
