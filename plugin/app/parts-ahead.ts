import { further } from '../../src/app/parts.js';
import { files } from '../../src/io/parts.js';
import { askBeforeLoading } from '../../src/part.js';
import { wholeImages } from '../../src/segmentation/parts.js';
import { stackAnnotators } from '../../src/session/parts.js';
import { furtherViews } from '../panel/parts.js';

const PARTS = [files, wholeImages, stackAnnotators, further, furtherViews];
/** The first image is looked at, and perhaps clicked on, meanwhile. */
const LOOKED_AT_MS = 1000;

/** Before a part is loaded, whether there is a server to load it from. */
export function askServerBeforeLoading(): void {
  const own = new URL('main.js', document.baseURI);
  askBeforeLoading(async () => {
    const { ok, redirected, status } = await fetch(own, { method: 'HEAD', cache: 'no-store' });
    if (redirected || !(ok || status === 405)) throw new Error(`The server answered ${status}.`); // 405: only GET
  });
}

/**
 * Loads what the first screen does without, when the page has nothing else to do: nobody waits for it later, and it is there
 * should the server go away. What cannot be loaded now is tried again when it is needed.
 */
export function loadPartsAhead(): void {
  setTimeout(() => {
    whenIdle(() => {
      for (const load of PARTS) load().catch(() => undefined);
    });
  }, LOOKED_AT_MS);
}

/** Safari has no idle callbacks. */
function whenIdle(act: () => void): void {
  if (typeof requestIdleCallback === 'function') requestIdleCallback(act, { timeout: 10_000 });
  else setTimeout(act);
}
