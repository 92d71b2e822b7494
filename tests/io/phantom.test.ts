import assert from 'node:assert/strict';
import { cellPhantom } from '../../src/io/phantom/phantom.js';

describe('cell phantom', () => {
  const phantom = cellPhantom();

  it('has about forty nuclei, each one connected piece around its centre', () => {
    const { labels, centers } = phantom;
    const [height, width] = labels.shape;
    assert.ok(centers.length >= 34 && centers.length <= 42, `${centers.length} nuclei`);
    const area = new Float64Array(centers.length + 1);
    for (const label of labels.data) area[label]++;
    centers.forEach(([y, x], index) => {
      const id = index + 1;
      assert.equal(labels.data[Math.floor(y) * width + Math.floor(x)], id, `centre of nucleus ${id}`);
      const reached = flood(labels.data, [height, width], Math.floor(y) * width + Math.floor(x));
      assert.equal(reached, area[id], `nucleus ${id} is in one piece`);
      assert.ok(area[id] > 150, `nucleus ${id} has ${area[id]} pixels`);
    });
  });

  it('is brighter inside every nucleus than around all of them', () => {
    const { image, labels, centers } = phantom;
    const sum = new Float64Array(centers.length + 1);
    const count = new Float64Array(centers.length + 1);
    image.data.forEach((value, i) => {
      sum[labels.data[i]] += value;
      count[labels.data[i]]++;
    });
    const background = sum[0] / count[0];
    for (let id = 1; id < sum.length; id++)
      assert.ok(sum[id] / count[id] > 1.4 * background, `nucleus ${id}: ${sum[id] / count[id]} on ${background}`);
  });

  it('repeats itself for a seed and differs between seeds', () => {
    assert.deepEqual(cellPhantom({ size: [64, 80] }).image, cellPhantom({ size: [64, 80] }).image);
    assert.notDeepEqual(cellPhantom({ size: [64, 80], seed: 1 }).image, cellPhantom({ size: [64, 80], seed: 2 }).image);
    assert.deepEqual(cellPhantom({ size: [64, 80] }).image.shape, [64, 80]);
  });
});

function flood(labels: Uint32Array, [height, width]: readonly [number, number], start: number): number {
  const seen = new Set([start]);
  const stack = [start];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const x = at % width;
    const y = (at - x) / width;
    for (const [ny, nx] of [
      [y - 1, x],
      [y + 1, x],
      [y, x - 1],
      [y, x + 1],
    ]) {
      const next = ny * width + nx;
      if (ny < 0 || nx < 0 || ny >= height || nx >= width || seen.has(next) || labels[next] !== labels[start]) continue;
      seen.add(next);
      stack.push(next);
    }
  }
  return seen.size;
}
