import { UntilHeard } from '../until-heard.js';
import type { ViewerListeners } from './protocol.js';

type Name = keyof ViewerListeners;
type Report = { readonly name: Name; readonly values: unknown[] };

/** Whoever `set_listeners` named last. What hands do before is kept for the first. */
export class Listeners {
  readonly #reports = new UntilHeard<Report>(({ name }) => (name === 'pointer' || name === 'view' ? name : undefined));
  #current: ViewerListeners | undefined;
  #stop = (): void => {};

  /** False if there are listeners, and none for this. */
  mayHear(name: Name): boolean {
    return this.#current === undefined || this.#current[name] !== undefined;
  }

  get waits(): boolean {
    return this.#current === undefined;
  }

  set(listeners: ViewerListeners): void {
    this.#stop();
    this.#current = listeners;
    this.#stop = this.#reports.on(({ name, values }) => {
      (listeners[name] as ((...values: unknown[]) => void) | undefined)?.(...values);
    });
  }

  tell<K extends Name>(name: K, ...values: Parameters<NonNullable<ViewerListeners[K]>>): void {
    this.#reports.tell({ name, values });
  }
}
