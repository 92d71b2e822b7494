import assert from 'node:assert/strict';
import { decodeMulti } from '@msgpack/msgpack';
import { lengthOf } from '../../src/ndimage/array.js';
import { joined, packed, piece } from '../../src/worker/hypha/parts.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('messages of Hypha in parts', () => {
  const large = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => first + i);
  const [one, other] = [large(100_000, 3), large(70_001, 9)];
  const values = [
    { type: 'method', to: 'a', nothing: undefined },
    { args: [1, { image: one, shape: [2, 5] }, other, 'text', large(300, 1), null, 2 ** 40, [other]], end: true },
  ];
  const message = packed(...values);

  it('are what msgpack reads, with what is undefined left out', () => {
    assert.deepEqual([...decodeMulti(joined(message))], [{ type: 'method', to: 'a' }, values[1]]);
    assert.deepEqual([...decodeMulti(joined(packed(7, 'a', one)))], [7, 'a', one]);
  });

  it('copy nothing that is large', () => {
    assert.deepEqual(
      message.filter((part) => part.length > 20_000).map(({ buffer }) => buffer),
      [one, other, other].map(({ buffer }) => buffer),
    );
  });

  it('are put where there is room, and elsewhere where there is none', () => {
    const room = new Uint8Array(lengthOf(message) + 10).fill(255);
    const whole = joined(message, room);
    assert.equal(whole.buffer, room.buffer);
    assert.deepEqual(whole, joined(message));
    assert.ok(room.subarray(-10).every((byte) => byte === 255));
    assert.deepEqual(joined(message, room.subarray(20)), whole);
    assert.notEqual(joined(message, room.subarray(20)).buffer, room.buffer);
  });

  it('come in pieces that are the whole', () => {
    const whole = Buffer.from(joined(message));
    assert.equal(lengthOf(message), whole.length);
    const random = seededRandom(5);
    for (let i = 0; i < 200; i++) {
      const ends = [0, 0].map(() => randomInteger(random, 0, whole.length + 1));
      const [from, to] = [Math.min(...ends), Math.max(...ends)];
      assert.ok(whole.subarray(from, to).equals(piece(message, from, to)), `${from} to ${to}`);
    }
    assert.equal(piece(message, 50_000, 60_000).buffer, one.buffer, 'a view');
  });
});
