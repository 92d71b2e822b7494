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

/** @param element shows by its cursor what a drag would do */
export function watchSpace(element: HTMLElement): void {
  const set = (now: boolean) => {
    held = now;
    element.classList.toggle('moving-view', now);
  };
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    const ofControl = target instanceof Element && target.closest('button, input, select, textarea, summary') !== null;
    if (event.code === 'Space' && !ofControl) set(true);
  });
  document.addEventListener('keyup', (event) => {
    if (event.code === 'Space') set(false);
  });
  window.addEventListener('blur', () => set(false));
}
