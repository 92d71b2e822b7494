import type { KeyPress } from '../src/presenter/keys.js';

/**
 * A key by the sign it gives, named by where that sign is on a US keyboard: Z undoes, ? helps and + enlarges on every
 * keyboard, wherever they lie. Keys without a Latin sign go by their place.
 */
export function keyPress(event: KeyboardEvent): KeyPress {
  const { key, shiftKey } = event;
  // Right Alt, which types signs like [ on many keyboards, counts as Ctrl and Alt on some systems.
  const typed = event.getModifierState('AltGraph');
  return {
    code: /^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : (SIGNS[key] ?? event.code),
    ctrl: !typed && (event.ctrlKey || event.metaKey),
    shift: shiftKey || key === '?', // has a key of its own on some keyboards
    alt: !typed && event.altKey,
  };
}

const SIGNS: Readonly<Record<string, string>> = {
  '?': 'Slash',
  '[': 'BracketLeft',
  ']': 'BracketRight',
  '+': 'Equal',
  '-': 'Minus',
  ',': 'Comma',
  '.': 'Period',
};
