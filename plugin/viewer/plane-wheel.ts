import type { Stage } from './stage.js';
import { viewportOf } from './surfaces.js';
import type { Sliders } from './widgets.js';

/** The wheel with Shift or Alt moves through planes; without, it zooms. */
export function moveByWheel(stage: Stage, sliders: Sliders): void {
  let travelled = 0;
  viewportOf(stage.map).addEventListener(
    'wheel',
    (event) => {
      if (!event.shiftKey && !event.altKey) return;
      // With Shift, some systems turn the wheel's direction to the side.
      const delta = event.deltaY || event.deltaX;
      travelled = Math.sign(travelled) === Math.sign(delta) ? travelled + delta : delta;
      event.preventDefault();
      event.stopPropagation();
      // A notch of a mouse is 100 or more, a touchpad gives many small steps.
      if (Math.abs(travelled) < STEP) return;
      sliders.step(travelled > 0 ? 1 : -1);
      travelled = 0;
    },
    { capture: true, passive: false },
  );
}

/** CSS pixels. */
const STEP = 40;
