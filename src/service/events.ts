import { SamError } from '../errors.js';
import type { AnnotationSession } from '../session/session.js';
import { type Callback, callable } from './callback.js';
import { describeState } from './state-json.js';

/**
 * Subscriptions over RPC. A callback is a function, or an interface object that may be called often
 * (`{ _rintf: true, state() {} }`): the function named like the event is called, else the only one there is. A callback that fails, because its window is
 * gone, is forgotten.
 */
const EVENTS = ['state', 'commit', 'progress', 'message', 'close'] as const;
export type ServiceEvent = (typeof EVENTS)[number];

export class Subscriptions {
  private readonly callbacks = new Map<string, { readonly event: ServiceEvent; readonly call: Callback }>();
  private count = 0;
  private readonly stop: () => void;

  constructor(session: AnnotationSession) {
    this.stop = session.subscribe((state, previous) => {
      const committed = state.layers.committed_objects;
      for (const task of state.tasks) {
        if (previous.tasks.includes(task)) continue;
        const { done, total, message } = task.progress;
        this.emit('progress', { id: task.id, name: task.name, done, total, message });
      }
      if (state.message && state.message !== previous.message) this.emit('message', { ...state.message });
      if (committed !== previous.layers.committed_objects) this.emit('commit', { ids: [...committed.objects.keys()] });
      const same =
        state.tasks !== previous.tasks &&
        state.layers === previous.layers &&
        state.prompts === previous.prompts &&
        state.settings === previous.settings;
      if (!same && this.has('state')) this.emit('state', describeState(state));
    });
  }

  add(event: unknown, callback: unknown): string {
    const known = EVENTS.find((name) => name === event);
    if (!known)
      throw new SamError(
        'invalid_argument',
        `There is no event ${JSON.stringify(event)}; choose ${EVENTS.join(', ')}.`,
      );
    const call = callable(callback, known);
    const id = `s${++this.count}`;
    this.callbacks.set(id, { event: known, call });
    return id;
  }

  remove(id: string): boolean {
    return this.callbacks.delete(id);
  }

  /** Tells those who wait for it, then forgets all. */
  close(): void {
    this.emit('close', undefined);
    this.callbacks.clear();
    this.stop();
  }

  private has(event: ServiceEvent): boolean {
    return [...this.callbacks.values()].some((entry) => entry.event === event);
  }

  private emit(event: ServiceEvent, payload: unknown): void {
    for (const [id, entry] of this.callbacks) {
      if (entry.event !== event) continue;
      const forget = () => this.callbacks.delete(id);
      try {
        Promise.resolve(entry.call(payload)).catch(forget);
      } catch {
        forget();
      }
    }
  }
}
