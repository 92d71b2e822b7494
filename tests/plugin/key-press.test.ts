import assert from 'node:assert/strict';
import { keyPress } from '../../plugin/key-press.js';
import { commandOfKey } from '../../src/presenter/keys.js';

/** What browsers report of a key: the sign by layout, the code by place. */
function pressed(key: string, code: string, held: readonly ('Control' | 'Shift' | 'Alt' | 'Meta' | 'AltGraph')[] = []) {
  return keyPress({
    key,
    code,
    ctrlKey: held.includes('Control') || held.includes('AltGraph'),
    altKey: held.includes('Alt') || held.includes('AltGraph'),
    shiftKey: held.includes('Shift'),
    metaKey: held.includes('Meta'),
    getModifierState: (name: string) => held.some((one) => one === name),
  } as KeyboardEvent);
}

describe('keys of other keyboards', () => {
  it('a US keyboard gives what its keys say', () => {
    assert.equal(commandOfKey(pressed('s', 'KeyS')), 'segment_object');
    assert.equal(commandOfKey(pressed('C', 'KeyC', ['Shift'])), 'clear_annotations');
    assert.equal(commandOfKey(pressed('?', 'Slash', ['Shift'])), 'help');
    assert.equal(commandOfKey(pressed('F1', 'F1')), 'help');
    assert.equal(commandOfKey(pressed('z', 'KeyZ', ['Meta'])), 'undo');
  });

  it('on a German keyboard Ctrl+Z undoes, ? helps and AltGr+8 is [', () => {
    assert.equal(commandOfKey(pressed('z', 'KeyY', ['Control'])), 'undo');
    assert.equal(commandOfKey(pressed('y', 'KeyZ', ['Control'])), 'redo');
    assert.equal(commandOfKey(pressed('?', 'Minus', ['Shift'])), 'help');
    assert.equal(commandOfKey(pressed('[', 'Digit8', ['AltGraph'])), 'previous_plane');
    assert.equal(pressed('+', 'BracketRight').code, 'Equal');
  });

  it('on a French keyboard A starts automatic segmentation', () => {
    assert.equal(commandOfKey(pressed('a', 'KeyQ')), 'automatic_segmentation');
  });

  it('without Latin letters, keys go by their place', () => {
    assert.equal(commandOfKey(pressed('с', 'KeyC')), 'commit');
    assert.equal(commandOfKey(pressed('я', 'KeyZ', ['Control'])), 'undo');
  });
});
