import './viewer-host.js';
import { openNdarray } from '../../../src/io/ndarray.js';
import { memoryStore } from '../../../src/io/stores/memory.js';
import type { Mask } from '../../../src/ndimage/mask.js';
import { maskFromBitmap } from '../../../src/ndimage/rle.js';
import { ImageDisplay } from '../../../src/presenter/image/image-display.js';
import { Presenter } from '../../../src/presenter/presenter.js';
import type { Viewer } from '../../../src/presenter/viewer.js';
import { setCommittedObjects } from '../../../src/session/edits/edits.js';
import { AnnotationSession } from '../../../src/session/session.js';
import type { ImageInfo, ObjectRecord } from '../../../src/session/state.js';

/** A stack of 200 slices of 1024 x 1024 with 300 committed objects over the viewer of viewer-host.ts, to scroll through. */
const PLANES = 200;
const SIDE = 1024;
const OBJECTS = 300;
const DEPTH = 24;

const { viewer } = globalThis as unknown as { viewer: Viewer };
const data = new Uint8Array(PLANES * SIDE * SIDE);
for (let i = 0, noise = 1; i < data.length; i++) {
  noise = (Math.imul(noise, 1664525) + 1013904223) | 0;
  data[i] = 60 + (noise >>> 26);
}
const source = await openNdarray({ data, shape: [PLANES, SIDE, SIDE], axes: 'zyx', name: 'stack' });
const display = await ImageDisplay.open(source, {
  signature: 'stack',
  store: memoryStore(),
  onChanged: () => undefined,
});
const session = new AnnotationSession();
const info: ImageInfo = { name: 'stack', axes: 'zyx', size: [SIDE, SIDE], planes: PLANES, signature: 'stack' };
session.open(info);
session.apply(setCommittedObjects(Array.from({ length: OBJECTS }, (_, k) => ball(k))));
const presenter = new Presenter(session, viewer, {
  readPixels: (_, plane) => display.picture(plane),
  sections: () => display.sections(),
});
await presenter.idle();

/** Milliseconds from the change of the plane until the new picture is painted. */
async function scrollTo(plane: number): Promise<number> {
  const frame = document.querySelector('iframe')?.contentWindow as Window;
  const started = performance.now();
  await session.run('set_plane', { plane });
  await presenter.idle();
  await new Promise((resolve) => frame.requestAnimationFrame(() => frame.setTimeout(resolve, 0)));
  return performance.now() - started;
}

/** Resolves when the sections show the first and the last slice. */
async function openSections(): Promise<void> {
  await presenter.run('toggle_sections');
  const canvas = document
    .querySelector('iframe')
    ?.contentDocument?.querySelector<HTMLCanvasElement>('canvas[data-section="xz"]');
  // Objects are drawn from the start, over slices that are read one by one.
  const read = (slice: number) => {
    const { data } = canvas!.getContext('2d')!.getImageData(0, slice, canvas!.width, 1);
    return data.filter((red, i) => i % 4 === 0 && red > 0).length > canvas!.width / 2;
  };
  do await new Promise((resolve) => setTimeout(resolve, 100));
  while (canvas?.height !== PLANES || !read(0) || !read(PLANES - 1));
  await presenter.idle();
}

function ball(k: number): ObjectRecord {
  const masks = new Map<number, Mask>();
  const middle = (k * 37) % PLANES;
  const corner = [((k * 61) % 30) * 33, ((k * 17) % 30) * 33] as const;
  for (let plane = Math.max(0, middle - DEPTH); plane < Math.min(PLANES, middle + DEPTH); plane++) {
    const radius = Math.round(14 * Math.sqrt(1 - ((plane - middle) / DEPTH) ** 2));
    const side = 2 * radius + 1;
    const inside = Uint8Array.from({ length: side * side }, (_, i) =>
      Number(Math.hypot(Math.floor(i / side) - radius, (i % side) - radius) <= radius),
    );
    masks.set(plane, maskFromBitmap(inside, [side, side], corner));
  }
  return { id: k + 1, masks, prompts: [], origin: 'loaded' };
}

Object.assign(globalThis, { scrollToPlane: scrollTo, openSections });
document.title = 'stack ready';
