import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tensor } from '../../src/ndimage/array.js';
import { distanceTargets } from '../../src/training/instances/distance-targets.js';

const fixture = JSON.parse(readFileSync('tests/fixtures/distance-targets.json', 'utf8'));

function floats(base64: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

describe('distance targets', () => {
  it('are those of torch-em: discs, a hollow, touching ellipses, a cut object, one pixel', () => {
    const labels = tensor(Uint32Array.from(Buffer.from(fixture.labels, 'base64')), fixture.shape);
    const targets = distanceTargets(labels);
    const pairs = [
      [targets.foreground, floats(fixture.targets.foreground)],
      [targets.centre, floats(fixture.targets.center)],
      [targets.boundary, floats(fixture.targets.boundary)],
    ];
    for (const [got, expected] of pairs) {
      assert.equal(got.length, expected.length);
      got.forEach((value, p) => {
        assert.ok(Math.abs(value - expected[p]) < 1e-5, `pixel ${p}: ${value}, expected ${expected[p]}`);
      });
    }
  });

  it('take an object that fills the image for one without a boundary', () => {
    const { foreground, boundary } = distanceTargets(tensor(new Uint32Array(12).fill(7), [3, 4]));
    assert.deepEqual([...foreground], Array(12).fill(1));
    assert.ok(boundary.every((value) => value === 0));
  });
});
