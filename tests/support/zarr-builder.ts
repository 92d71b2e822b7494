import { gzipSync, zlibSync } from 'fflate';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';

/** A small OME-Zarr with two resolution levels, two channels and three planes: version 2 (OME 0.4) or 3 (0.5). */
export function madeOmeZarr(version: 2 | 3): ReadonlyMap<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  const json = (key: string, value: unknown) => entries.set(key, new TextEncoder().encode(JSON.stringify(value)));
  const axes = [
    { name: 'c', type: 'channel' },
    { name: 'z', type: 'space', unit: 'micrometer' },
    { name: 'y', type: 'space', unit: 'micrometer' },
    { name: 'x', type: 'space', unit: 'micrometer' },
  ];
  const datasets = [1, 2].map((factor, level) => ({
    path: String(level),
    coordinateTransformations: [{ type: 'scale', scale: [1, 0.5, 0.1 * factor, 0.1 * factor] }],
  }));
  const omero = { channels: [{ label: 'DNA', color: '0000FF', window: { start: 0, end: 300 } }, { label: 'Actin' }] };
  const multiscales = [{ version: version === 2 ? '0.4' : undefined, name: 'cells', axes, datasets }];
  if (version === 3)
    json('zarr.json', {
      zarr_format: 3,
      node_type: 'group',
      attributes: { ome: { version: '0.5', multiscales, omero } },
    });
  else {
    json('.zgroup', { zarr_format: 2 });
    json('.zattrs', { multiscales, omero });
  }
  for (const [level, size] of [32, 16].entries()) {
    const shape = [2, 3, size, size];
    const chunks = [1, 1, 16, 16];
    if (version === 3)
      json(`${level}/zarr.json`, {
        zarr_format: 3,
        node_type: 'array',
        shape,
        data_type: 'uint16',
        chunk_grid: { name: 'regular', configuration: { chunk_shape: chunks } },
        chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
        fill_value: 0,
        codecs: [
          { name: 'bytes', configuration: { endian: 'little' } },
          { name: 'gzip', configuration: { level: 5 } },
        ],
        attributes: {},
      });
    else
      json(`${level}/.zarray`, {
        zarr_format: 2,
        shape,
        chunks,
        dtype: '<u2',
        compressor: { id: 'zlib', level: 1 },
        fill_value: 0,
        order: 'C',
        filters: null,
        dimension_separator: '/',
      });
    for (let c = 0; c < 2; c++)
      for (let z = 0; z < 3; z++)
        for (let y = 0; y < size / 16; y++)
          for (let x = 0; x < size / 16; x++) {
            const raw = new Uint8Array(omeChunk(level, c, z, y, x).buffer);
            const key = `${level}/${version === 3 ? 'c/' : ''}${c}/${z}/${y}/${x}`;
            entries.set(key, version === 3 ? gzipSync(raw) : zlibSync(raw));
          }
  }
  return entries;
}

/** A plate: well A1 with two fields of view, well B12 with one, each the image of `madeOmeZarr`. */
export function madePlate(version: 2 | 3): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  const group = (folder: string, attributes: object) => {
    const json = (file: string, value: unknown) =>
      entries.set(folder + file, new TextEncoder().encode(JSON.stringify(value)));
    if (version === 3)
      json('zarr.json', {
        zarr_format: 3,
        node_type: 'group',
        attributes: { ome: { version: '0.5', ...attributes } },
      });
    else {
      json('.zgroup', { zarr_format: 2 });
      json('.zattrs', attributes);
    }
  };
  const wells = { 'A/1': ['0', '1'], 'B/12': ['0'] };
  group('', {
    plate: {
      rows: [{ name: 'A' }, { name: 'B' }],
      columns: [{ name: '1' }, { name: '12' }],
      wells: Object.keys(wells).map((path) => ({ path })),
    },
  });
  for (const [well, fields] of Object.entries(wells)) {
    group(`${well}/`, { well: { images: fields.map((path) => ({ path })) } });
    for (const field of fields)
      for (const [key, bytes] of madeOmeZarr(version)) entries.set(`${well}/${field}/${key}`, bytes);
  }
  return entries;
}

/** The 16 x 16 values of one chunk; `omePixel` says the same of one pixel. */
function omeChunk(level: number, c: number, z: number, y: number, x: number): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, i) => omePixel(level, c, z, y * 16 + (i >> 4), x * 16 + (i & 15)));
}

export function omePixel(level: number, c: number, z: number, y: number, x: number): number {
  return level * 20_000 + c * 9_000 + z * 2_000 + y * 40 + x;
}

/** A store that counts what is read from it. */
export function countingStore(entries: ReadonlyMap<string, Uint8Array>): { store: Store; reads: string[] } {
  const reads: string[] = [];
  const store = memoryStore('counting', entries);
  return {
    reads,
    store: {
      ...store,
      get(key, options) {
        reads.push(key);
        return store.get(key, options);
      },
      getRange: undefined,
    },
  };
}
