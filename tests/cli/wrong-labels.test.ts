import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { encode as encodePng } from 'fast-png';
import { zipSync } from 'fflate';
import { evaluate } from '../../src/cli/evaluate.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { TypedArray } from '../../src/ndimage/array.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';

/** Label images as people have them: the right scores, or a reason, and never a score of something else. */
describe('evaluate with labels of odd kinds', () => {
  const [HEIGHT, WIDTH] = [12, 16];
  /** Three squares of 3 x 3. */
  const labels = new Uint8Array(HEIGHT * WIDTH);
  for (let k = 0; k < 3; k++)
    for (let p = 0; p < 9; p++) labels[(4 * k + Math.floor(p / 3)) * WIDTH + 5 * k + (p % 3)] = k + 1;
  const shape = [HEIGHT, WIDTH];
  const tiff = (data: TypedArray, itsShape: readonly number[] = shape, axes?: string) =>
    encodeTiff({ data, shape: itsShape }, axes ? { axes } : {});
  const float = (change: (value: number, p: number) => number) => Float32Array.from(labels, change);
  const npy = (descr: string, itsShape: readonly number[], data: TypedArray) => {
    const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${itsShape.join(', ')},), }`;
    const header = new TextEncoder().encode(`${text.padEnd(117)}\n`);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0, ...header, ...bytes]);
  };
  const png = (channels: number, of: (value: number, channel: number) => number) =>
    encodePng({
      width: WIDTH,
      height: HEIGHT,
      channels,
      depth: 8,
      data: Uint8Array.from({ length: labels.length * channels }, (_, i) =>
        of(labels[Math.floor(i / channels)], i % channels),
      ),
    });
  const larger = new Uint8Array(24 * 32);

  let folder: string;
  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-labels-'));
    writeFileSync(path.join(folder, 'reference.tif'), await tiff(labels));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  interface Row {
    readonly scores: { readonly msa?: number; readonly predictedObjects?: number };
    readonly error?: string;
  }
  const score = async (name: string, bytes: Uint8Array, ...more: string[]): Promise<{ row: Row; told: string }> => {
    const file = path.join(folder, name);
    writeFileSync(file, bytes);
    const args = ['--labels', path.join(folder, 'reference.tif'), '--predictions', file, '--json', ...more];
    const { log, error } = console;
    const { write } = process.stderr;
    const lines: string[] = [];
    const told: string[] = [];
    process.stderr.write = () => true;
    console.log = (line: string) => void lines.push(line);
    console.error = (line: string) => void told.push(line);
    try {
      await evaluate.run(args);
    } finally {
      Object.assign(console, { log, error });
      process.stderr.write = write;
    }
    const { rows } = JSON.parse(lines.join('\n')) as { rows: Row[] };
    assert.equal(rows.length, 1);
    return { row: rows[0], told: told.join('\n') };
  };

  const right: [name: string, () => Uint8Array | Promise<Uint8Array>][] = [
    ['float32.tif', () => tiff(float((value) => value))],
    ['float64.tif', () => tiff(Float64Array.from(labels))],
    ['int8.tif', () => tiff(Int8Array.from(labels))],
    ['large numbers.tif', () => tiff(Uint32Array.from(labels, (value) => value * 1_000_000_000))],
    ['int64.npy', () => npy('<i8', shape, BigInt64Array.from(labels, BigInt) as unknown as TypedArray)],
    [
      'big-endian.npy',
      () =>
        npy(
          '>u2',
          shape,
          Uint16Array.from(labels, (value) => value << 8),
        ),
    ],
    ['one channel last.npy', () => npy('|u1', [HEIGHT, WIDTH, 1], labels)],
    ['one plane.npy', () => npy('|u1', [1, HEIGHT, WIDTH], labels)],
    ['grey as colours.png', () => png(3, (value) => value)],
    ['grey as colours with alpha.png', () => png(4, (value, channel) => (channel === 3 ? 255 : value))],
  ];
  for (const [name, bytes] of right)
    it(`${name} scores 1`, async () => {
      const { row } = await score(name, await bytes());
      assert.equal(row.error, undefined);
      assert.equal(row.scores.msa, 1);
      assert.equal(row.scores.predictedObjects, 3);
    });

  const wrong: [name: string, bytes: () => Uint8Array | Promise<Uint8Array>, reason: RegExp][] = [
    ['halves.tif', () => tiff(float((value) => value + 0.5)), /whole numbers.*1\.5/],
    ['probabilities.tif', () => tiff(float((value) => (value > 0 ? 0.87 : 0))), /whole numbers.*0\.87/],
    ['nan.tif', () => tiff(float((value, p) => (p === 0 ? Number.NaN : value))), /there is NaN/],
    ['inf.tif', () => tiff(float((value, p) => (p === 9 ? Number.POSITIVE_INFINITY : value))), /there is Infinity/],
    ['negative.tif', () => tiff(Int16Array.from(labels, (value) => value - 1)), /there is -1/],
    [
      'too large.npy',
      () => npy('<u8', shape, BigUint64Array.from(labels, (v) => BigInt(v) << 40n) as unknown as TypedArray),
      /1099511627776/,
    ],
    ['cropped.tif', () => tiff(labels.slice(0, 10 * WIDTH), [10, WIDTH]), /differ in shape.*\[12,16\].*\[10,16\]/],
    ['turned.tif', () => tiff(labels, [WIDTH, HEIGHT]), /differ in shape/],
    ['twice as large.tif', () => tiff(larger, [24, 32]), /differ in shape/],
    ['a stack.npy', () => npy('|u1', [2, HEIGHT, WIDTH], Uint8Array.of(...labels, ...labels)), /\[2,12,16\]/],
    ['two channels.npy', () => npy('|u1', [HEIGHT, WIDTH, 2], new Uint8Array(2 * labels.length)), /2 channels/],
    ['one pixel.tif', () => tiff(Uint8Array.of(1), [1, 1]), /differ in shape/],
    ['colours.png', () => png(3, (value, channel) => value * (channel + 1)), /picture in colours/],
    ['lossy.jpg', () => encodeJpeg(labels, HEIGHT, WIDTH, 1), /compressed with loss/],
    ['complex.npy', () => npy('<c8', shape, new Float32Array(2 * labels.length)), /complex/],
    ['empty.tif', () => new Uint8Array(), /empty \(0 bytes\)/],
    ['text.tif', () => new TextEncoder().encode('hello '.repeat(99)), /it is text/],
  ];
  for (const [name, bytes, reason] of wrong)
    it(`${name} is refused with a reason`, async () => {
      const { row } = await score(name, await bytes());
      assert.match(row.error ?? 'no error', reason);
      assert.deepEqual(row.scores, {});
    });

  for (const [what, values] of [
    ['0 and 1', (value: number) => Math.min(value, 1)],
    ['0 and 255', (value: number) => (value > 0 ? 255 : 0)],
  ] as const)
    it(`a mask of ${what} is one object, and that is told`, async () => {
      const { row, told } = await score('mask.tif', await tiff(labels.map(values)));
      assert.equal(row.scores.predictedObjects, 1);
      assert.match(told, /one object, in 3 pieces that do not touch/);
    });

  it('of a file with several arrays the first counts, and the others are told', async () => {
    const archive = zipSync({ 'a.npy': npy('|u1', shape, labels), 'b.npy': npy('|u1', shape, labels) });
    const { row, told } = await score('several.npz', archive);
    assert.equal(row.scores.msa, 1);
    assert.match(told, /holds 2 images \(a, b\); this is the first: --prediction_key takes another/);
    assert.doesNotMatch((await score('several.npz', archive, '--prediction_key', 'b')).told, /holds/);
  });

  it('an image of another size than its labels is an error, not a picture', async () => {
    mkdirSync(path.join(folder, 'report'));
    writeFileSync(path.join(folder, 'image.tif'), await tiff(larger, [24, 32]));
    const report = ['--images', path.join(folder, 'image.tif'), '-o', path.join(folder, 'report')];
    const { row } = await score('prediction.tif', await tiff(labels), ...report);
    assert.match(row.error ?? '', /labels are 12 x 16 pixels, the image image\.tif is 24 x 32/);
  });

  it('nothing found where there is nothing to find is right', async () => {
    const empty = path.join(folder, 'empty-reference.tif');
    writeFileSync(empty, await tiff(new Uint8Array(labels.length)));
    assert.equal((await score('nothing.tif', await tiff(new Uint8Array(labels.length)))).row.scores.msa, 0);
    const { row } = await score('nothing.tif', await tiff(new Uint8Array(labels.length)), '--labels', empty);
    assert.equal(row.scores.msa, 1);
  });
});
