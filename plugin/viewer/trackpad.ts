import type { Stage } from './stage.js';
import { viewportOf } from './surfaces.js';

/**
 * Two fingers on a trackpad move the view, as they move everything else on screen; pinching, which browsers report as a
 * wheel with Ctrl, zooms, and so does a wheel. Browsers do not say which of the two it is: a wheel turns in notches of
 * many whole pixels, up and down only, fingers glide in small steps to all sides.
 */
export function moveByTrackpad(stage: Stage): void {
  const kind = new WheelKind();
  viewportOf(stage.map).addEventListener(
    'wheel',
    (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      if (kind.of(event) === 'wheel') return;
      event.preventDefault();
      event.stopPropagation();
      stage.panBy(event.deltaX, event.deltaY);
    },
    { capture: true, passive: false },
  );
}

/** Tells trackpads and wheels apart, by the first event of a gesture: its later ones may be as large as a notch. */
export class WheelKind {
  private last = -Infinity;
  private kind: 'wheel' | 'trackpad' = 'wheel';

  of({ deltaMode, deltaX, deltaY, timeStamp }: Pick<WheelEvent, 'deltaMode' | 'deltaX' | 'deltaY' | 'timeStamp'>) {
    const glides = deltaMode === 0 && (deltaX !== 0 || Math.abs(deltaY) < NOTCH);
    if (timeStamp - this.last > PAUSE_MS) this.kind = glides ? 'trackpad' : 'wheel';
    else if (deltaX !== 0 && deltaMode === 0) this.kind = 'trackpad';
    this.last = timeStamp;
    return this.kind;
  }
}

/** CSS pixels; the smallest notch of a mouse wheel is about 50, where the page is enlarged. */
const NOTCH = 40;
/** Between two events of one gesture. */
const PAUSE_MS = 250;
