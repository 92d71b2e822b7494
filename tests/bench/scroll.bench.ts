import { viewerSite } from '../support/viewer-page.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * Scrolling through 200 slices of 1024 x 1024 with 300 committed objects, in Chromium without a GPU: session, presenter,
 * contrast, RPC to the viewer and painting; then beside sections xz and yz. tests/browser/pages/scroll-host.ts is the page.
 */
const STEPS = 30;
const LIMIT_MS = 100;

export default async function bench(): Promise<Figure[]> {
  const site = await viewerSite('tests/browser/pages/scroll-host.ts');
  try {
    const { page } = await site.open();
    await page.waitForFunction(() => document.title === 'stack ready', undefined, { timeout: 120_000 });
    const times = await page.evaluate(async (steps) => {
      const { scrollToPlane, openSections } = globalThis as unknown as {
        scrollToPlane(plane: number): Promise<number>;
        openSections(): Promise<void>;
      };
      const walkFrom = async (first: number) => {
        const taken: number[] = [];
        for (let k = 0; k < steps; k++) taken.push(await scrollToPlane(first + k));
        return taken;
      };
      const walk = await walkFrom(80);
      const jumps: number[] = [];
      for (let k = 0; k < steps / 3; k++) jumps.push(await scrollToPlane((80 + 71 * (k + 1)) % 200));
      await openSections();
      return { walk, jumps, besideSections: await walkFrom(20) };
    }, STEPS);
    return [
      atMost('slice_scroll_ms', median(times.walk), 'ms', LIMIT_MS),
      reported('slice_jump_ms', median(times.jumps), 'ms'),
      atMost('slice_scroll_sections_ms', median(times.besideSections), 'ms', LIMIT_MS),
    ];
  } finally {
    await site.close();
  }
}
