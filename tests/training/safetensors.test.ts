import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { readSafetensors, writeSafetensors } from '../../src/training/safetensors.js';

const file = writeSafetensors({
  tensors: new Map([
    ['ä', { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, Infinity) }],
    ['empty', { shape: [0], data: new Float32Array(0) }],
  ]),
  metadata: { step: '7' },
});

describe('safetensors', () => {
  it('gives back what was written', () => {
    const { tensors, metadata } = readSafetensors(file);
    assert.deepEqual(metadata, { step: '7' });
    assert.deepEqual([...(tensors.get('ä')?.data ?? [])], [1, -2, 3.5, Infinity]);
    assert.deepEqual(tensors.get('empty')?.shape, [0]);
  });

  it('is laid out as the format says: length, JSON, elements, aligned', () => {
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    assert.equal((8 + length) % 8, 0);
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    assert.deepEqual(header.ä, { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] });
    assert.equal(new Float32Array(file.slice(8 + length).buffer)[2], 3.5);
  });

  it('refuses every file that is cut short', () => {
    for (let length = 0; length < file.length; length++)
      assert.throws(
        () => readSafetensors(file.slice(0, length)),
        (error) => error instanceof SamError,
        `${length} bytes`,
      );
  });
});
