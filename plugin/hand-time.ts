/**
 * When the hand did what is being handled, in milliseconds since the epoch: on a busy machine that is long before it is
 * heard of. The windows of one page agree about it.
 */
export function handTime(event: Event | undefined = window.event): number {
  return performance.timeOrigin + (event?.timeStamp ?? performance.now());
}
