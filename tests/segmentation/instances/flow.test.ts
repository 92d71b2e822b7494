import assert from 'node:assert/strict';
import { scoreSegmentation } from '../../../src/evaluation/segmentation-accuracy.js';
import { cellPhantom } from '../../../src/io/phantom/phantom.js';
import { type LabelImage, tensor, type YXYX } from '../../../src/ndimage/array.js';
import { toHalf } from '../../../src/ndimage/half.js';
import { density, walk } from '../../../src/segmentation/instances/flow.js';
import { generateInstances, labelsOf, ruleOf } from '../../../src/segmentation/instances/generate.js';
import { INSTANCE_SETTINGS, type InstanceState } from '../../../src/segmentation/instances/state.js';
import { instanceGolden } from '../../support/instance-golden.js';
import { oracleMaps } from '../../support/oracle-maps.js';

/** @param fields also the vectors (y, x) of a decoder with five maps */
function stateOf(labels: LabelImage, fields?: Float32Array, diameter?: number): InstanceState {
  const [height, width] = labels.shape;
  const three = oracleMaps(labels).data;
  const data = fields ? Float32Array.of(...three, ...fields) : three;
  const maps = { data: toHalf(data), shape: [fields ? 5 : 3, height, width] };
  const tile = { frame: [0, 0, height, width] as YXYX, inputSize: [height, width] as const, cell: 1, maps };
  return { size: [height, width], tiles: [tile], diameter };
}

describe('objects from where their pixels meet', () => {
  const golden = instanceGolden();
  const { shape, directed } = golden;
  const count = shape[0] * shape[1];
  const labels = tensor(Uint32Array.from(golden.labels), shape);
  const inside = { data: Uint8Array.from(labels.data, (id) => (id === 0 ? 0 : 1)), shape };

  for (const [name, steps, sigma, wanted] of [
    ['euclidean', 50, 0.5, directed.density_euclidean],
    ['geodesic_hybrid', 200, 2, directed.density_hybrid],
  ] as const) {
    it(`are counted as the branches of micro-sam count them: ${name}`, () => {
      const y = tensor(directed[name].slice(0, count), shape);
      const x = tensor(directed[name].slice(count), shape);
      const found = density(walk({ y, x }, inside, { steps, step: 0.25 }), shape, sigma).data;
      for (let p = 0; p < count; p++)
        if (inside.data[p]) assert.ok(Math.abs(found[p] - wanted[p]) < 1e-5, `pixel ${p}: ${found[p]}, ${wanted[p]}`);
    });
  }

  it('are those of the labels, by vectors and by the distance to the centre', () => {
    const settings = { rule: 'flow', minObjectSize: 10 } as const;
    const byVectors = generateInstances(stateOf(labels, directed.geodesic_hybrid), settings);
    const { sa50 } = scoreSegmentation(labels, labelsOf(byVectors, shape));
    // Of six one is a single pixel, and one is cut at a corner of the image, where walkers stop early.
    assert.ok(sa50 > 0.66, `of the vectors ${sa50}`);
    const cells = cellPhantom({ size: [300, 320], cells: 20 }).labels;
    const byDistance = generateInstances(stateOf(cells), settings);
    assert.ok(scoreSegmentation(cells, labelsOf(byDistance, [300, 320])).sa50 > 0.9);
  });

  it('are looked for where the decoder gives vectors and objects are large', () => {
    const rule = (state: InstanceState) => ruleOf(state, INSTANCE_SETTINGS);
    assert.equal(rule(stateOf(labels, directed.geodesic_hybrid, 40)), 'flow');
    assert.equal(rule(stateOf(labels, directed.geodesic_hybrid, 1)), 'watershed');
    assert.equal(rule(stateOf(labels, undefined, 40)), 'watershed');
  });
});
