import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

/**
 * What micro-sam's own libraries make of one small label image (48 x 64): targets of an instance decoder, noisy
 * predictions of them, and post-processing at four settings. torch-em 0.10.9 and bioimage-cpp 0.10.0.
 */
export interface InstanceGolden {
  readonly shape: readonly [number, number];
  readonly labels: Float32Array;
  readonly targets: Readonly<Record<'foreground' | 'center' | 'boundary', Float32Array>>;
  readonly predictions: Readonly<Record<'foreground' | 'center' | 'boundary', Float32Array>>;
  readonly cases: readonly {
    /** tc, tb, tf: thresholds; sd, sf: smoothing; those left out are the defaults. */
    readonly params: Readonly<Record<string, number>>;
    readonly markers: Uint32Array;
    readonly segmentation: Uint32Array;
    readonly n: number;
  }[];
  /** By sigma, of the predicted centre distance. */
  readonly gaussian: Readonly<Record<string, Float32Array>>;
  readonly apg: { readonly components: Uint32Array; readonly points_xy: readonly (readonly [number, number])[] };
  readonly directed: Readonly<
    Record<'euclidean' | 'geodesic_hybrid' | 'density_euclidean' | 'density_hybrid', Float32Array>
  >;
}

export function instanceGolden(): InstanceGolden {
  const file = path.resolve('tests', 'fixtures', 'instance-maps.json.gz');
  return JSON.parse(gunzipSync(readFileSync(file)).toString('utf8'), (key, value) => {
    if (typeof value !== 'string' || value.length < 1000) return value;
    const bytes = new Uint8Array(Buffer.from(value, 'base64'));
    return ['labels', 'markers', 'segmentation', 'components'].includes(key)
      ? new Uint32Array(bytes.buffer)
      : new Float32Array(bytes.buffer);
  });
}
