import assert from 'node:assert/strict';
import { labelsToGeoJson } from '../../src/io/results/geojson.js';
import { tensor } from '../../src/ndimage/array.js';
import { type Feature, featuresOf, paintedByDefinition, type Ring, ringsOf } from '../support/geojson-reader.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

describe('GeoJSON', () => {
  it('outlines rasterise to the labels exactly, with holes, parts and planes', () => {
    const random = seededRandom(21);
    for (const shape of [
      [1, 1],
      [24, 31],
      [3, 17, 12],
    ])
      for (let i = 0; i < 10; i++) {
        const labels = randomLabels(random, shape, 8, 2 ** 32 - 2);
        const text = labelsToGeoJson(labels);
        assert.deepEqual(paintedByDefinition(featuresOf(text), shape).data, labels.data);
      }
  });

  it('writes rings as the standard wants them: closed, outer ones counter-clockwise with y up, holes the other way', () => {
    const labels = tensor(Uint32Array.of(5, 5, 5, 5, 0, 5, 5, 5, 5), [3, 3]);
    const [feature, ...others] = featuresOf(labelsToGeoJson(labels));
    assert.equal(others.length, 0);
    assert.equal(feature.geometry.type, 'Polygon');
    const area = (ring: Ring) =>
      ring.slice(1).reduce((sum, [x, y], i) => sum + (ring[i][0] * y - x * ring[i][1]) / 2, 0);
    const [outer, hole] = ringsOf(feature);
    assert.equal(area(outer), 9);
    assert.equal(area(hole), -1);
    for (const ring of [outer, hole]) assert.deepEqual(ring[0], ring.at(-1));
    assert.deepEqual(feature.properties, {
      objectType: 'annotation',
      name: '5',
      label: 5,
      measurements: { Label: 5 },
    } as unknown as Feature['properties']);
  });

  it('carries scores, and says the plane or the time of a stack', () => {
    const labels = tensor(Uint32Array.of(0, 0, 0, 7), [2, 1, 2]);
    const objects = [{ id: 7, predictedIou: 0.9, stability: 0.8 }];
    const [feature] = featuresOf(labelsToGeoJson(labels, { objects, stack: 't' }));
    assert.deepEqual(feature.geometry.plane, { c: -1, z: 0, t: 1 });
    assert.deepEqual(feature.properties.measurements, { Label: 7, 'Predicted IoU': 0.9, 'Stability score': 0.8 });
  });
});
