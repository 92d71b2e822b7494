/** In Node, a timer that only watches keeps no process alive. */
export function letProcessEnd(timer: ReturnType<typeof setTimeout> | undefined): void {
  if (typeof timer === 'object' && 'unref' in timer) timer.unref();
}
