import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'fflate';

/**
 * A small HDF5 file, written by h5wasm (libhdf5) and gzipped: `raw`, uint16 [2, 6, 8], gzip chunks of [1, 4, 4], value
 * 3 i at position i; `exported/mask`, uint8 [6, 8], i modulo 3; `big`, int64 [2, 3], i - 2; `table`, float32 [3].
 */
const PACKED = `
H4sIAAAAAAACA+2YX0hTURzHv+fcOa9z6lJJcw8uKBiENMqHnmqBrkkPOoneut17t7tZVg4Vum8lWbigmESCIEhhMChkiRAEgTEIoygTgiBIpS
IRoj3Vg5Cx7Vz/3FiriEQ4H3Y5nN++v3PPvneDs2/M3+Qrs9XZqCjCYIVhrcvNPaw+1lCy2Opvaqeu5D6hc/2l08r1jQY2CgJYywECoVs5n2IL
WasyFVHTo13dvVqofjsr54TqqciLGlZxZCpFvYp6RluqZd0lWGNvn6Uqu6Wd5i2BkEaACoRQ465sND5ovrpgB3Gsvu9AEQURSkvtIJQQZDZkya
idgEAtcyTXlBks7Mo2XsBmc/3L7tPH2pubCcSfnoz7N9eoL8+N+fQW0/wI0+8ooDPoKqA39w0w/R6s2f4rbhXQm9d/zvROkz7f/r8V0Jv7Kis2
zvPpKTgcDofD4XA4nP+PLgVlOSwH50NxOR6OB9tCHtkT9gSTobScDqeDYghwJmlMl94r8xGH6tDalLbIjDqjJZVkJKpGNVERIwPqgAa4o0KLLh
2V/WF/cDqUkBPhRLAj5C3Gcb9wWZeeKdMRt+rWOpSOyKK6qHmLcTIhfNQl4sLcShw3MIRhJHAX47iPKaTwBE/xBm/xDguYTJbGmHQEo7iNO5jE
AzzEIzzHS8ziNT7gE5bwGY+j9hZdWp5KDy84U63Wct8530HfYZ+1EeiptZTo0nIqPdoXG7wZ6A+MBK4GhgZJGeC7RztB6B+9vpv+dZlP/cYpX1
j1++IhAF7A6+XfPQ6Hw+FsHn8T91ZkI9KzSk/nBAt20fyPtnOgf8yTN+7dBVBKiDnOzRfvElbNxrs2sRIQSAOL54zEG4mt86gqrlwaL+SN+cBh
nme9EQ2vvBu8ObGFvRmZmK3L6001QAkhgtmLapBtrnoWybpQI6ImE+qv9+Qa88Ru3Ci59X7i+191ff0B1wqsDwYaAAA=
`;

export function hdf5Sample(): Uint8Array {
  return gunzipSync(Uint8Array.from(atob(PACKED.replace(/\s/g, '')), (letter) => letter.charCodeAt(0)));
}

/** Datasets in every way HDF5 stores them, written by h5py: see tests/fixtures/make_hdf5.py. */
export function h5pySample(version: 'earliest' | 'latest'): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(path.join('tests', 'fixtures', `h5py-${version}.h5.gz`))));
}
