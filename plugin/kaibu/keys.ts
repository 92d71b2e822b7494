import type { ViewerEvent } from '../../src/presenter/viewer.js';
import type { LayerKey } from '../viewer/protocol.js';

/** Zoom keys of the viewer, and arrows, which move what is selected in it. */
const VIEWER_KEEPS = /^(Arrow\w+|Equal|Minus|Digit0|Numpad(Add|Subtract|0))$/;

/** The key as an event, or undefined where the viewer shall act itself: it deletes and moves the prompts it has selected. */
export function keyEvent(press: LayerKey, selection: boolean): Extract<ViewerEvent, { kind: 'key' }> | undefined {
  if (VIEWER_KEEPS.test(press.code)) return undefined;
  if (selection && (press.code === 'Delete' || press.code === 'Backspace')) return undefined;
  return {
    kind: 'key',
    code: press.code,
    ctrl: press.ctrl_key || press.meta_key,
    shift: press.shift_key,
    alt: press.alt_key,
    ...(press.pressed_at !== undefined && { time: press.pressed_at }),
  };
}

/** What a layer that nobody draws in is added with: keys reach the annotator while it is selected, too. */
export function hearing(emit: (event: ViewerEvent) => void): { key_press_callback(press: LayerKey): boolean } {
  return {
    key_press_callback(press) {
      const event = keyEvent(press, false);
      if (event) emit(event);
      return event !== undefined;
    },
  };
}
