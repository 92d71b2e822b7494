/**
 * While Space is held, or with the middle or the right button, a drag moves the view whatever tool is in hand. A click of
 * the right button that stays in its place is not a drag (pointer.ts).
 */
let held = false;

export function movesView(event: Event): boolean {
  if (!('button' in event)) return false;
  return event.button === 1 || event.button === 2 || (event.button === 0 && held);
}

/** Whether the first button moves the view now, so that no tool may take it. */
export function isSpaceHeld(): boolean {
  return held;
}

/**
 * @param element shows by its cursor what a drag would do
 * @param signal ends it
 */
export function watchSpace(element: HTMLElement, signal: AbortSignal): void {
  const set = (now: boolean) => {
    held = now;
    element.classList.toggle('moving-view', now);
  };
  const down = ({ target, code }: KeyboardEvent) => {
    const ofControl = target instanceof Element && target.closest('button, input, select, textarea, summary') !== null;
    if (code === 'Space' && !ofControl) set(true);
  };
  const up = ({ code }: KeyboardEvent) => {
    if (code === 'Space') set(false);
  };
  document.addEventListener('keydown', down, { signal });
  document.addEventListener('keyup', up, { signal });
  window.addEventListener('blur', () => set(false), { signal });
}
