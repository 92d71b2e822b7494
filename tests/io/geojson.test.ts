import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { geoJsonToLabels, labelsToGeoJson } from '../../src/io/results/geojson.js';
import { type LabelImage, tensor } from '../../src/ndimage/array.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

type Ring = [x: number, y: number][];
interface Feature {
  geometry: { type: string; coordinates: Ring[] | Ring[][]; plane?: { c: number; z: number; t: number } };
  properties: { label: number; name: string; measurements: Record<string, number> };
}

const featuresOf = (text: string): Feature[] => JSON.parse(text).features;
const ringsOf = ({ geometry }: Feature): Ring[] =>
  geometry.type === 'Polygon' ? (geometry.coordinates as Ring[]) : (geometry.coordinates as Ring[][]).flat();

/** Even-odd rule at pixel centres, straight from its definition. */
function inside(rings: Ring[], y: number, x: number): boolean {
  let odd = false;
  for (const ring of rings)
    for (let i = 0; i + 1 < ring.length; i++) {
      const [[x0, y0], [x1, y1]] = [ring[i], ring[i + 1]];
      if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
    }
  return odd;
}

function paintedByDefinition(features: Feature[], shape: readonly number[]): LabelImage {
  const [planes, height, width] = shape.length === 3 ? shape : [1, ...shape];
  const data = new Uint32Array(planes * height * width);
  for (const feature of features) {
    const z = feature.geometry.plane?.z ?? 0;
    const rings = ringsOf(feature);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (inside(rings, y + 0.5, x + 0.5)) data[(z * height + y) * width + x] = feature.properties.label;
  }
  return tensor(data, shape);
}

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
        assert.deepEqual(geoJsonToLabels(text, shape).data, labels.data);
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
    assert.deepEqual(geoJsonToLabels(labelsToGeoJson(labels, { stack: 't' }), [2, 1, 2]).data, labels.data);
  });

  it('reads what other programs write: no labels, several parts, other geometries beside', () => {
    const square = (x: number): Ring => [
      [x, 0],
      [x + 1, 0],
      [x + 1, 1],
      [x, 1],
      [x, 0],
    ];
    const text = JSON.stringify([
      { type: 'Feature', geometry: { type: 'Point', coordinates: [1, 1] }, properties: {} },
      { type: 'Feature', geometry: { type: 'Polygon', coordinates: [square(0)] }, properties: null },
      {
        type: 'Feature',
        geometry: { type: 'MultiPolygon', coordinates: [[square(1)], [square(3)]] },
        properties: { measurements: { Label: 4 } },
      },
      { type: 'Feature', geometry: { type: 'Polygon', coordinates: [square(2)] } },
    ]);
    assert.deepEqual([...geoJsonToLabels(text, [1, 5]).data], [5, 4, 6, 4, 0]);
  });

  it('refuses what is no GeoJSON with a typed error', () => {
    for (const text of [
      '',
      '{',
      '{}',
      '"x"',
      '<html>',
      '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[["a",1]]]}}]}',
    ])
      assert.throws(
        () => geoJsonToLabels(text, [4, 4]),
        (error) => error instanceof SamError && error.code === 'invalid_image',
      );
  });
});
