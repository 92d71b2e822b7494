import { entriesOf } from '../items.js';
import type { LayerContent } from './annotator.js';
import { besideTheHand } from './edits/automatic-landing.js';
import { layerOf } from './layers.js';
import type { ObjectLayer, ObjectLayerName, SessionState } from './state.js';

/**
 * What a segmentation has found so far: shown (`state.arriving`) until the result lands or the work ends, however it ends;
 * no step of undo, and not saved.
 */
export class PartialResults {
  private readonly shown = new Map<ObjectLayerName, ObjectLayer>();

  /**
   * @param change changes the session's state
   * @param since the state in which the work was asked for
   */
  constructor(
    private readonly change: (edit: (state: SessionState) => SessionState) => void,
    private readonly since: SessionState,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', this.end, { once: true });
  }

  readonly show = (partial: LayerContent): void => {
    if (this.signal.aborted) return;
    this.change((state) => {
      const { layer, objects } = besideTheHand(partial, this.since, state);
      const content = layerOf(objects);
      this.shown.set(layer, content);
      return { ...state, arriving: { ...state.arriving, [layer]: content } };
    });
  };

  readonly end = (): void => {
    this.signal.removeEventListener('abort', this.end);
    this.change((state) => this.removedFrom(state));
  };

  /** The state without them, where no others have taken their place. */
  removedFrom(state: SessionState): SessionState {
    const { arriving, ...rest } = state;
    const all = entriesOf<ObjectLayerName, ObjectLayer>(arriving ?? {});
    const left = all.filter(([layer, content]) => this.shown.get(layer) !== content);
    if (left.length === all.length) return state;
    return left.length > 0 ? { ...rest, arriving: Object.fromEntries(left) } : rest;
  }
}
