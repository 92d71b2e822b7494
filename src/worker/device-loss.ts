import { SamError } from '../errors.js';
import type { OrtRuntime } from '../model/runtime.js';

/**
 * Work on a device that may go away under it: a graphics driver that is reset, a browser's GPU process that ends. What is
 * pending then is never answered by the runtime, or is with an error of its own that says nothing to people.
 */
export class DeviceLost extends Error {
  override readonly name = 'DeviceLost';
}

/** @throws DeviceLost once the device of `runtime` is gone, or is silent for longer than the runtime's patience */
export function onDevice<T>(runtime: OrtRuntime, work: Promise<T>): Promise<T> {
  const { whenLost, patience } = runtime;
  if (!whenLost && patience === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const lose = (reason: string) => end(() => reject(new DeviceLost(reason)));
    const timer =
      patience === undefined
        ? undefined
        : setTimeout(() => lose(`nothing was heard from it for ${patience / 1000} s`), patience);
    // Not a race with a promise of the loss, which would keep every result for as long as the device lives.
    const forget = whenLost?.(lose);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      forget?.();
      settle();
    };
    work.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}

/** Is it the device that failed, rather than what it was asked? Our own errors say what is wrong with that. */
export function isDeviceFault(error: unknown): error is Error {
  return error instanceof Error && (!(error instanceof SamError) || error.code === 'internal');
}
