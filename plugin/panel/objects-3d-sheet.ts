import type { Size } from '../../src/ndimage/array.js';
import { drawSurface, type Viewpoint } from '../../src/presenter/objects-3d/draw.js';
import { surfaceOf } from '../../src/presenter/objects-3d/surface.js';
import type { SectionObject } from '../../src/presenter/sections/section-objects.js';
import { make } from './dom.js';
import { Sheet } from './menu.js';

/** Between the whole volume and a single cell. */
const [LEAST_ZOOM, MOST_ZOOM] = [0.5, 8];
const KEY_STEP = Math.PI / 24;
/** Radians a pixel of the hand. */
const TURN = 0.01;
/** A side from above, so that depth is seen at once. */
const FIRST: Viewpoint = { turn: 0.6, tilt: 0.5, zoom: 1.2 };

/** The objects of a volume, turned by dragging or the arrow keys, larger and smaller by the wheel, + and -. */
export function objects3dSheet(
  objects: readonly SectionObject[],
  volume: { readonly size: Size; readonly slices: number; readonly spacing: number },
): Sheet {
  const canvas = make('canvas', { className: 'objects-3d', tabIndex: 0, role: 'img' });
  canvas.setAttribute('aria-label', `${count(objects.length)}; the arrow keys turn, plus and minus zoom`);
  const note = make(
    'p',
    { className: 'note' },
    `${count(objects.length)}. Drag to turn; the wheel, + and − zoom; 0 goes back.`,
  );
  const sheet = new Sheet('Objects in 3D', canvas, note);
  const surface = surfaceOf(
    objects.map(({ masks }) => masks),
    volume,
  );
  const colors = objects.map(({ color }) => color);
  let view = FIRST;
  let asked = 0;

  const draw = () => {
    asked = 0;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    canvas.width = side;
    canvas.height = side;
    canvas.getContext('2d')?.putImageData(new ImageData(drawSurface(surface, colors, view, side), side, side), 0, 0);
  };
  const look = (change: Partial<Viewpoint>) => {
    const { turn, tilt, zoom } = { ...view, ...change };
    view = {
      turn,
      tilt: Math.min(Math.max(tilt, -Math.PI / 2), Math.PI / 2),
      zoom: Math.min(Math.max(zoom, LEAST_ZOOM), MOST_ZOOM),
    };
    if (asked === 0) asked = requestAnimationFrame(draw);
  };

  canvas.addEventListener('pointerdown', (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener('pointermove', (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    look({ turn: view.turn + event.movementX * TURN, tilt: view.tilt + event.movementY * TURN });
  });
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      look({ zoom: view.zoom * Math.exp(-event.deltaY / 500) });
    },
    { passive: false },
  );
  canvas.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowLeft') look({ turn: view.turn - KEY_STEP });
    else if (key === 'ArrowRight') look({ turn: view.turn + KEY_STEP });
    else if (key === 'ArrowUp') look({ tilt: view.tilt - KEY_STEP });
    else if (key === 'ArrowDown') look({ tilt: view.tilt + KEY_STEP });
    else if (key === '+') look({ zoom: view.zoom * 1.2 });
    else if (key === '-') look({ zoom: view.zoom / 1.2 });
    else if (key === '0') look(FIRST);
  });
  new ResizeObserver(() => look({})).observe(canvas);
  return sheet;
}

const count = (objects: number) => (objects === 1 ? '1 object' : `${objects} objects`);
