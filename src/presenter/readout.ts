import type { YX } from '../ndimage/array.js';
import { objectAt, shownLayer } from '../session/layers.js';
import type { SessionState } from '../session/state.js';
import { Latest } from './latest.js';

/** Value of one channel at a pixel, in the unit of the file. */
export interface ChannelValue {
  readonly name: string;
  readonly value: number;
}

/**
 * What lies under the pointer, in one line: place, values of all channels, object. A quick pointer is not followed
 * everywhere: values are read one place at a time, and only the newest place counts.
 */
export class Readout {
  private at?: YX;
  private shown = '';
  private readonly latest: Latest<undefined>;

  /**
   * @param valuesAt of all channels at a pixel [y, x] of a plane
   * @param show undefined where there is nothing to tell
   */
  constructor(
    private readonly state: () => SessionState,
    private readonly valuesAt: (plane: number, at: YX) => Promise<readonly ChannelValue[]>,
    private readonly show: (text: string | undefined) => Promise<void>,
  ) {
    this.latest = new Latest(
      () => this.tell(),
      () => undefined, // a place whose pixels cannot be read is no reason to trouble anyone
    );
  }

  /** @param at in pixels; undefined when the pointer has left the image */
  move(at: YX | undefined): void {
    this.at = at;
    this.latest.push(undefined);
  }

  /** Objects come and go under a pointer that rests. */
  refresh(): void {
    if (this.at) this.latest.push(undefined);
  }

  idle(): Promise<void> {
    return this.latest.idle();
  }

  private async tell(): Promise<void> {
    const { at } = this;
    const state = this.state();
    let text: string | undefined;
    if (at && state.image) {
      const pixel: YX = [Math.floor(at[0]), Math.floor(at[1])];
      text = readoutText(state, pixel, await this.valuesAt(state.plane, pixel).catch(() => []));
    }
    if ((text ?? '') === this.shown) return;
    this.shown = text ?? '';
    await this.show(text);
  }
}

/** Counted from 0, as pixel indices are in Fiji and napari; planes from 1, as everywhere in the annotator. */
export function readoutText(state: SessionState, [y, x]: YX, values: readonly ChannelValue[]): string {
  const { image, plane } = state;
  const axis = image?.axes.includes('z') ? 'z' : 't';
  const place = `x ${x}, y ${y}${image && image.planes > 1 ? `, ${axis} ${plane + 1}` : ''}`;
  const named = values.map(({ name, value }) => `${values.length > 1 ? `${name} ` : ''}${numberText(value)}`);
  const object = objectText(state, [y, x]);
  return [place, named.join(', '), object].filter(Boolean).join(' · ');
}

function numberText(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en') : String(Number(value.toPrecision(5)));
}

function objectText(state: SessionState, at: YX): string {
  for (const [name, what] of UNDER_POINTER) {
    const id = objectAt(shownLayer(state, name), state.plane, at);
    if (id > 0) return name === 'current_object' ? what : `${what} ${id}`;
  }
  return '';
}

const UNDER_POINTER = [
  ['current_object', 'current object'],
  ['auto_segmentation', 'automatic object'],
  ['committed_objects', 'object'],
] as const;
