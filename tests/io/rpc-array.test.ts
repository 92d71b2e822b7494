import assert from 'node:assert/strict';
import { fromRpcArray, isArrayLike, toNestedList, toRpcArray, viewRpcArray } from '../../src/io/rpc-array.js';

describe('arrays that cross RPC', () => {
  const ndarray = (_rdtype: string, _rvalue: unknown, _rshape: unknown) => ({
    ...{ _rtype: 'ndarray', _rdtype, _rvalue, _rshape },
  });

  it('come back as they were, without what lay beside them', () => {
    for (const data of [
      ...[Int8Array.of(-1, 2), Uint8Array.of(1, 255), Int16Array.of(-300, 2), Uint16Array.of(1, 65535)],
      ...[Int32Array.of(-70000, 2), Uint32Array.of(1, 2 ** 32 - 1), Float32Array.of(0.5, -1), Float64Array.of(0.1, 2)],
    ]) {
      const sent = toRpcArray({ data, shape: [1, 2] });
      assert.deepEqual(fromRpcArray(sent), { data, shape: [1, 2] });
      assert.deepEqual(fromRpcArray({ data, shape: [1, 2] }), { data, shape: [1, 2] });
    }
    const sent = toRpcArray({ data: new Uint16Array(100).subarray(3, 5), shape: [2] });
    assert.equal(sent._rvalue.byteLength, 4);
  });

  it('of numpy become the nearest type that holds them exactly', () => {
    const cases: readonly [string, ArrayBufferLike, unknown][] = [
      ['bool', Uint8Array.of(0, 7).buffer, Uint8Array.of(0, 1)],
      ['|b1', Uint8Array.of(1, 0).buffer, Uint8Array.of(1, 0)],
      ['uint8c', Uint8Array.of(3, 4).buffer, Uint8Array.of(3, 4)],
      ['>u2', Uint8Array.of(1, 2, 3, 4).buffer, Uint16Array.of(0x102, 0x304)],
      ['<i4', Int32Array.of(-5, 6).buffer, Int32Array.of(-5, 6)],
      ['float16', Uint16Array.of(0x3c00, 0xc000).buffer, Float32Array.of(1, -2)],
      ['int64', BigInt64Array.of(-1n, 2n).buffer, Int32Array.of(-1, 2)],
      ['int64', BigInt64Array.of(-1n, 2n ** 40n).buffer, Float64Array.of(-1, 2 ** 40)],
      ['uint64', BigUint64Array.of(1n, 2n ** 32n - 1n).buffer, Uint32Array.of(1, 2 ** 32 - 1)],
    ];
    for (const [dtype, bytes, expected] of cases)
      for (const read of [fromRpcArray, viewRpcArray]) {
        const before = new Uint8Array(bytes).slice();
        assert.deepEqual(read(ndarray(dtype, bytes, [2])).data, expected, dtype);
        assert.deepEqual(new Uint8Array(bytes), before, `${dtype} is left as it was given`);
      }
    assert.throws(() => fromRpcArray(ndarray('int64', BigInt64Array.of(2n ** 53n + 1n).buffer, [1])), {
      code: 'unsupported',
      message: /9007199254740993/,
    });
  });

  it('may lie anywhere in a buffer', () => {
    const bytes = Uint8Array.of(9, 1, 0, 2, 0, 9).subarray(1, 5);
    assert.deepEqual(viewRpcArray(ndarray('uint16', bytes, [2])).data, Uint16Array.of(1, 2));
  });

  it('are copied, or read where they lie', () => {
    const values = Float32Array.of(1, 2);
    for (const given of [ndarray('float32', values.buffer, [2]), { data: values, shape: [2] }]) {
      const [own, shared] = [fromRpcArray(given).data, viewRpcArray(given).data];
      values[0] = 5;
      assert.deepEqual([own[0], shared[0]], [1, 5]);
      values[0] = 1;
    }
  });

  it('say what is wrong with them', () => {
    const four = new ArrayBuffer(4);
    const wrong: readonly [unknown, string, RegExp][] = [
      [7, 'invalid_argument', /Expected an ndarray/],
      [ndarray('uint8', 'text', [4]), 'invalid_argument', /_rvalue of an ndarray must be an ArrayBuffer/],
      [ndarray('complex64', four, [1]), 'unsupported', /complex64.*convert to int8, uint8/],
      [ndarray('constructor', four, [1]), 'unsupported', /constructor/],
      [{ data: new DataView(four), shape: [4] }, 'unsupported', /numeric typed array/],
      [ndarray('uint8', four, [2, 3]), 'invalid_image', /4 values, which do not fill its shape \[2,3\]/],
      [ndarray('float64', four, [1]), 'invalid_image', /4 bytes are no whole number of float64/],
      [ndarray('uint8', four, [-4]), 'invalid_image', /shape \[-4\]; expected whole numbers/],
      [ndarray('uint8', four, undefined), 'invalid_image', /shape undefined/],
    ];
    for (const [value, code, message] of wrong) assert.throws(() => viewRpcArray(value), { code, message });
  });

  it('are told from other values, and become lists in lists', () => {
    assert.deepEqual([null, 'ndarray', [1], { data: [1], shape: [1] }].filter(isArrayLike), []);
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6);
    assert.deepEqual(toNestedList({ data, shape: [1, 3, 2] }), [
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ]);
    assert.deepEqual(toNestedList({ data: data.subarray(0, 0), shape: [0, 2] }), []);
    assert.equal(toNestedList({ data: data.subarray(4, 5), shape: [] }), 5);
  });
});
