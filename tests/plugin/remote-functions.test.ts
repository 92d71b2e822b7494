import assert from 'node:assert/strict';
import { Handed, release, remoteFunctions } from '../../plugin/remote-functions.js';

describe('functions for another window', () => {
  it('do nothing once they are released, and hold nothing any more', () => {
    const done: string[] = [];
    const sent = remoteFunctions({ name: 'a', set_image: () => done.push('set_image') }); // imjoy-rpc keeps this very object
    const { set_image: before } = sent;
    sent.set_image();
    release(sent);
    assert.equal(sent.set_image(), undefined);
    assert.deepEqual(done, ['set_image']);
    assert.notEqual(sent.set_image, before);
    assert.deepEqual([sent.name, sent._rintf], ['a', true]);
  });

  it('tell whoever keeps them when they are released, also where that one is gone', () => {
    const told: string[] = [];
    const handed = new Handed();
    const [one, two] = ['one', 'two'].map((name) => handed.hand({ name }));
    one.on('close', () => told.push('one'));
    one.on('change', () => told.push('a change'));
    two.on('close', () => Promise.reject(new Error('gone')));
    two.on('close', () => {
      throw new Error('gone, too');
    });
    two.on('close', () => told.push('two'));
    handed.release();
    handed.release();
    assert.deepEqual(told, ['one', 'two']);
  });
});
