import assert from 'node:assert/strict';
import { crc32c, crc32cOfMany } from '../../src/io/compression/crc32c.js';

describe('CRC-32C', () => {
  it('is that of RFC 3720, and goes on from the bytes before', () => {
    const digits = new TextEncoder().encode('123456789');
    assert.equal(crc32c(digits), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    for (let cut = 0; cut <= digits.length; cut++)
      assert.equal(crc32c(digits.subarray(cut), crc32c(digits.subarray(0, cut))), 0xe3069283);
  });

  it('of many bytes is the same, and others have their turn meanwhile', async () => {
    const bytes = new Uint8Array(3 * 2 ** 20 + 5).map((_, i) => (i * 2654435761) >>> 13);
    const { port1, port2 } = new MessageChannel();
    let heard = false;
    port1.onmessage = () => {
      heard = true;
    };
    const sum = crc32cOfMany(bytes);
    port2.postMessage(undefined);
    assert.equal(await sum, crc32c(bytes));
    assert.ok(heard, 'a message was heard meanwhile');
    port1.close();
  });
});
