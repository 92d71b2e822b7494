import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { MeasuredIntensity } from '../../src/presenter/table/measured-intensity.js';
import { type Column, objectTable } from '../../src/presenter/table/object-table.js';
import { layerOf } from '../../src/session/layers.js';
import type { ObjectRecord } from '../../src/session/state.js';

const SIZE = [60, 80] as const;
const record = (
  id: number,
  at: readonly [number, number],
  radius: number,
  facts: Partial<ObjectRecord> = {},
): ObjectRecord => ({
  id,
  masks: new Map([[0, rasterizeStroke([at], radius, SIZE)]]),
  prompts: [],
  origin: 'loaded',
  ...facts,
});

const layer = layerOf([
  record(1, [10, 10], 3, { objectClass: 2, name: 'nucleus' }),
  record(2, [10, 40], 6, { predictedIou: 0.9, comment: 'out of focus' }),
  record(3, [30, 60], 5, { predictedIou: 0.7, flagged: true }),
  record(4, [50, 20], 4),
]);

const ids = (column: Column, descending: boolean, filter = '') =>
  objectTable(layer, { column, descending }, filter).rows.map(({ id }) => id);

describe('object table', () => {
  it('sorts by every column in both directions; rows without a value come last', () => {
    assert.deepEqual(ids('id', true), [4, 3, 2, 1]);
    assert.deepEqual(ids('size', false), [1, 4, 3, 2]);
    assert.deepEqual(ids('size', true), [2, 3, 4, 1]);
    assert.deepEqual(ids('score', false), [3, 2, 1, 4]);
    assert.deepEqual(ids('score', true), [2, 3, 1, 4]);
    assert.deepEqual(ids('class', true), [1, 2, 3, 4]);
    assert.deepEqual(ids('name', true), [1, 2, 3, 4]);
  });

  it('filters by size, score, class, flag and words, all at once', () => {
    assert.deepEqual(ids('id', false, 'size > 40 size<100'), [3, 4]);
    assert.deepEqual(ids('id', false, 'score < 0.8'), [3]);
    assert.deepEqual(ids('id', false, 'class=2'), [1]);
    assert.deepEqual(ids('id', false, 'flagged'), [3]);
    assert.deepEqual(ids('id', false, 'Focus'), [2]);
    assert.deepEqual(ids('id', false, 'flagged score>0.8'), []);
    const { rows, total, problem } = objectTable(layer, { column: 'id', descending: false }, 'size >');
    assert.deepEqual([rows.length, total], [0, 4]);
    assert.match(problem ?? '', /"size>" cannot be read/);
    const inherited = objectTable(layer, { column: 'id', descending: false }, 'constructor > 0');
    assert.match(inherited.problem ?? '', /"constructor>0" cannot be read/);
  });

  it('measures mean intensities in the background, those of changed objects anew', async () => {
    const data = Uint16Array.from({ length: 60 * 80 }, (_, i) => 100 + (i % 80));
    const source = await openImage({ data, shape: [60, 80] });
    const measured = new MeasuredIntensity(source);
    const next = () => new Promise<void>((resolve) => (measured.onMeasured = resolve));
    const first = layer.objects.get(1) as ObjectRecord;
    assert.equal(measured.mean(first), undefined);
    const told = next();
    measured.measure(layer);
    await told;
    assert.ok(Math.abs((measured.mean(first) ?? 0) - 109.5) <= 0.51, `${measured.mean(first)}`);
    const intensity = (one: ObjectRecord) => measured.mean(one);
    const sorted = objectTable(layer, { column: 'intensity', descending: true }, 'intensity > 115', intensity);
    assert.deepEqual(
      sorted.rows.map(({ id }) => id),
      [3, 2, 4],
    );
    const moved = { ...first, masks: new Map([[0, rasterizeStroke([[10, 70]], 3, SIZE)]]) };
    const again = next();
    measured.measure(layerOf([...layer.objects.values(), moved]));
    await again;
    assert.ok((measured.mean(moved) ?? 0) > 165);
  });
});
