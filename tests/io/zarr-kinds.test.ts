import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync, zlibSync } from 'fflate';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { addLabelsToImage } from '../../src/io/zarr/ome-zarr-writer.js';
import { madeOmeZarr, omePixel } from '../support/zarr-builder.js';

/** Kinds of zarr that other programs write. */
const json = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
type Entries = Map<string, Uint8Array>;
const open = (entries: Entries, options = {}) => openImage(memoryStore('test.zarr', entries), options);

describe('OME-Zarr that says more than there is', () => {
  const changed = (change: (text: string) => string): Entries => {
    const entries = new Map(madeOmeZarr(2));
    return entries.set('.zattrs', json(change(new TextDecoder().decode(entries.get('.zattrs')))));
  };

  it('opens without the smaller copies that are not there, and says so', async () => {
    const entries = new Map([...madeOmeZarr(2)].filter(([key]) => !key.startsWith('1/')));
    const image = await open(entries);
    assert.equal(image.levels.length, 1);
    assert.match(image.notices?.[0] ?? '', /resolution levels 1, which are not there/);
    assert.equal((await image.readRegion({ z: 2, channels: [1] })).data[33], omePixel(0, 1, 2, 1, 1));
    const without = new Map([...madeOmeZarr(2)].filter(([key]) => !key.startsWith('0/')));
    await assert.rejects(open(without), { code: 'invalid_image', message: /"0", which is not there/ });
  });

  it('whose smaller copy is named first is as large as the larger one', async () => {
    const image = await open(
      changed((text) => {
        const attributes = JSON.parse(text);
        attributes.multiscales[0].datasets.reverse();
        return JSON.stringify(attributes);
      }),
    );
    assert.deepEqual(image.levels, [
      [32, 32],
      [16, 16],
    ]);
    assert.equal(image.pixelSize?.x, 0.1);
    assert.match(image.notices?.[0] ?? '', /does not name its largest resolution level first/);
    assert.equal((await image.readRegion({ z: 2, channels: [1] })).data[33], omePixel(0, 1, 2, 1, 1));
  });

  it('names its levels in other ways, but never beyond itself', async () => {
    for (const path of ['/0', './0', '0/', './/0/']) {
      const image = await open(changed((text) => text.replace('"path":"0"', `"path":"${path}"`)));
      assert.equal((await image.readRegion({ z: 2, channels: [1] })).data[33], omePixel(0, 1, 2, 1, 1), path);
    }
    for (const path of ['../0', '0/../../a', '', '.'])
      await assert.rejects(open(changed((text) => text.replace('"path":"0"', `"path":"${path}"`))), {
        code: 'invalid_image',
        message: /a path inside it/,
      });
  });

  it('has its axes told from the shape where those named are fewer', async () => {
    const image = await open(changed((text) => text.replace(/"axes":\[\{.*?\},/, '"axes":[')));
    assert.equal(image.sizes.x, (await open(new Map(madeOmeZarr(2)))).sizes.x);
    assert.match(image.notices?.[0] ?? '', /do not fit its shape/);
  });
});

describe('NaN and Infinity in the JSON of a zarr', () => {
  const patched = (version: 2 | 3, change: (text: string) => string): Entries => {
    const entries = new Map(madeOmeZarr(version));
    const key = version === 2 ? '.zattrs' : 'zarr.json';
    return entries.set(key, json(change(new TextDecoder().decode(entries.get(key)))));
  };

  for (const version of [2, 3] as const)
    for (const [what, from, to, limits, size] of [
      ['a window', '"start":0', '"start":NaN', undefined, 0.1],
      ['an infinite window', '"end":300', '"end":Infinity', undefined, 0.1],
      ['a scale', '[1,0.5,0.1,0.1]', '[1,0.5,NaN,-Infinity]', [0, 300], undefined],
      ['what nobody reads', '"label":"Actin"', '"label":"Actin","x":[NaN,-Infinity]', [0, 300], 0.1],
      ['text that only looks like it', '"label":"Actin"', '"label":"NaN \\"Infinity"', [0, 300], 0.1],
    ] as const)
      it(`as ${what} (version ${version})`, async () => {
        const image = await open(patched(version, (text) => text.replace(from, to)));
        assert.deepEqual(image.channels[0].limits, limits);
        assert.equal(image.pixelSize?.x, size);
        assert.equal((await image.readRegion({ z: 2, channels: [1] })).data[33], omePixel(0, 1, 2, 1, 1));
        if (to.includes('"NaN ')) assert.equal(image.channels[1].name, 'NaN "Infinity');
      });

  it('as the value of empty pixels', async () => {
    for (const fill of ['NaN', '"NaN"', 'Infinity', '-Infinity']) {
      const meta = `{"zarr_format":2,"shape":[4,4],"chunks":[2,4],"dtype":"<f4","compressor":null,"fill_value":${fill},"order":"C","filters":null}`;
      const image = await open(
        new Map([
          ['.zarray', json(meta)],
          ['0.0', new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer)],
        ]),
      );
      const { data } = await image.readRegion({});
      const value = Number(fill.replaceAll('"', ''));
      assert.deepEqual(Array.from(data), [1, 2, 3, 4, 5, 6, 7, 8, ...Array(8).fill(value)]);
    }
  });

  it('as the value of empty pixels of half floats, which v3 may give in hexadecimal', async () => {
    for (const [fill, value] of [
      ['7', 7],
      ['-0.5', -0.5],
      ['"-Infinity"', Number.NEGATIVE_INFINITY],
      ['"0x4700"', 7],
      ['NaN', Number.NaN],
    ] as const) {
      const meta = `{"zarr_format":2,"shape":[2,2],"chunks":[1,2],"dtype":"<f2","compressor":null,"fill_value":${fill},"order":"C","filters":null}`;
      const image = await open(
        new Map([
          ['.zarray', json(meta)],
          ['0.0', new Uint8Array(Uint16Array.of(0x3c00, 0x4000).buffer)],
        ]),
      );
      assert.deepEqual(Array.from((await image.readRegion({})).data), [1, 2, value, value]);
    }
    const meta = '{"zarr_format":2,"shape":[2,2],"chunks":[1,2],"dtype":"<f2","compressor":null,"fill_value":"x"}';
    await assert.rejects(open(new Map([['.zarray', json(meta)]])), { code: 'invalid_image', message: /not a number/ });
  });

  it('stays what it is where labels are added to such an image', async () => {
    const entries = patched(3, (text) =>
      text
        .replace('"start":0', '"start":-Infinity,"min":NaN')
        .replace('"node_type"', '"consolidated_metadata":{},"node_type"'),
    );
    const store = memoryStore('test.zarr', entries);
    await addLabelsToImage(store, { data: new Uint32Array(32 * 32), shape: [32, 32] }, { name: 'cells' });
    const text = new TextDecoder().decode(await store.get('zarr.json'));
    assert.doesNotMatch(text, /consolidated/);
    assert.match(text, /"start": -Infinity,\s+"min": NaN/);
  });

  it('other JSON that is none is still an error', async () => {
    for (const text of ['{"a": NaNa}', '{"a": nan}', '{"a": ', 'NaN'])
      await assert.rejects(
        open(
          new Map([
            ['.zgroup', json('{"zarr_format":2}')],
            ['.zattrs', json(text)],
          ]),
        ),
        {
          code: 'invalid_image',
        },
      );
  });
});

describe('keys of chunks', () => {
  /** Image values 1 ... 24 in chunks of [1, 2, 2] of [2, 4, 3]. */
  const chunk = (z: number, y: number, x: number) =>
    Uint8Array.from({ length: 4 }, (_, i) => (z * 4 + y * 2 + (i >> 1)) * 3 + x * 2 + (i & 1) + 1);
  const places = [0, 1].flatMap((z) => [0, 1].flatMap((y) => [0, 1].map((x) => [z, y, x] as const)));
  const base = { zarr_format: 2, shape: [2, 4, 3], chunks: [1, 2, 2], dtype: '|u1', fill_value: 0, order: 'C' };
  const arrayV2 = (separator: string | undefined, key: (place: readonly number[]) => string, skip = 0): Entries =>
    new Map([
      ['.zarray', json({ ...base, compressor: { id: 'zlib' }, filters: null, dimension_separator: separator })],
      ...places.slice(skip).map((place) => [key(place), zlibSync(chunk(...place))] as const),
    ]);
  const arrayV3 = (encoding: unknown, key: (place: readonly number[]) => string): Entries =>
    new Map([
      [
        'zarr.json',
        json({
          zarr_format: 3,
          node_type: 'array',
          shape: [2, 4, 3],
          data_type: 'uint8',
          chunk_grid: { name: 'regular', configuration: { chunk_shape: [1, 2, 2] } },
          chunk_key_encoding: encoding,
          fill_value: 0,
          codecs: [{ name: 'bytes' }, { name: 'gzip', configuration: { level: 1 } }],
        }),
      ],
      ...places.map((place) => [key(place), gzipSync(chunk(...place))] as const),
    ]);
  async function whole(entries: Entries): Promise<number[]> {
    const image = await open(entries);
    const planes = await Promise.all([0, 1].map((z) => image.readRegion({ z })));
    return planes.flatMap(({ data }) => Array.from(data));
  }
  const counted = Array.from({ length: 24 }, (_, i) => i + 1);
  const dots = (place: readonly number[]) => place.join('.');
  const folders = (place: readonly number[]) => place.join('/');

  it('as stated, or in folders where nothing is stated', async () => {
    assert.deepEqual(await whole(arrayV2('.', dots)), counted);
    assert.deepEqual(await whole(arrayV2('/', folders)), counted);
    assert.deepEqual(await whole(arrayV2(undefined, dots)), counted);
    assert.deepEqual(await whole(arrayV2(undefined, folders)), counted);
    assert.deepEqual(await whole(arrayV3({ name: 'default' }, (place) => `c/${folders(place)}`)), counted);
    assert.deepEqual(await whole(arrayV3({ name: 'v2' }, dots)), counted);
  });

  it('chunks that were never written are empty, in any order of reading', async () => {
    const expected = counted.map((value, i) => (i < 6 && i % 3 < 2 ? 0 : value));
    assert.deepEqual(await whole(arrayV2(undefined, folders, 1)), expected);
    assert.deepEqual(await whole(arrayV2(undefined, dots, 1)), expected);
    assert.deepEqual(await whole(arrayV2('/', folders, 1)), expected);
    assert.deepEqual(await whole(arrayV2(undefined, folders, 8)), Array(24).fill(0));
    assert.deepEqual(await whole(arrayV2('/', folders, 8)), Array(24).fill(0));
  });

  for (const [what, entries, got] of [
    ['folders where dots are stated', arrayV2('.', folders), '0/0/0'],
    ['dots where folders are stated', arrayV2('/', dots), '0.0.0'],
    ['of another number of axes', arrayV2(undefined, (place) => `0.${dots(place)}`), '0.0.0.0'],
    ['of version 3 in version 2', arrayV2(undefined, (place) => `c/${folders(place)}`), 'c/0/0/0'],
    ['dots in version 3', arrayV3({ name: 'default', configuration: { separator: '/' } }, dots), '0.0.0'],
    [
      'folders where version 3 says dots',
      arrayV3({ name: 'default', configuration: { separator: '.' } }, (p) => `c/${folders(p)}`),
      'c/0/0/0',
    ],
  ] as const)
    it(`${what} are an error, not black`, async () => {
      await assert.rejects(whole(entries), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'invalid_image');
        assert.ok(error.message.includes(`like "${got}"`), error.message);
        return true;
      });
    });

  it('over HTTP, where nothing can be listed', async () => {
    let entries: Entries = new Map();
    const server = createServer((request, response) => {
      const bytes = entries.get((request.url ?? '').replace(/^\/x\.zarr\//, ''));
      response.writeHead(bytes ? 200 : 404).end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.zarr/`;
      const read = async () => Array.from((await (await openImage(url)).readRegion({ z: 1 })).data);
      entries = arrayV2(undefined, folders);
      assert.deepEqual(await read(), counted.slice(12));
      entries = arrayV2('.', folders);
      await assert.rejects(read(), { code: 'invalid_image', message: /like "0\/0\/0"/ });
      entries = arrayV2('.', dots, 8);
      assert.deepEqual(await read(), Array(12).fill(0));
    } finally {
      server.close();
    }
  });
});

describe('bioformats2raw', () => {
  function several(version: 2 | 3, { listed, xml }: { listed?: string[]; xml?: string }): Entries {
    const entries: Entries = new Map();
    const group = (folder: string, attributes: object) => {
      if (version === 3)
        entries.set(
          `${folder}zarr.json`,
          json({ zarr_format: 3, node_type: 'group', attributes: { ome: attributes } }),
        );
      else entries.set(`${folder}.zgroup`, json({ zarr_format: 2 })).set(`${folder}.zattrs`, json(attributes));
    };
    group('', { 'bioformats2raw.layout': 3 });
    group('OME/', listed ? { series: listed } : {});
    if (xml) entries.set('OME/METADATA.ome.xml', json(xml));
    for (const [i, path] of (listed ?? ['0', '1', '2']).entries())
      for (const [key, bytes] of madeOmeZarr(version))
        entries.set(
          `${path}/${key}`,
          i === 1 && key === '.zattrs' ? json(new TextDecoder().decode(bytes).replace('"DNA"', '"second"')) : bytes,
        );
    return entries;
  }
  const titles = (names: readonly string[]) =>
    `<OME xmlns="x">${names.map((name) => `<Image Name="${name}"><Pixels SizeX="1"/></Image>`).join('')}</OME>`;

  for (const version of [2, 3] as const) {
    it(`all series are offered and can be chosen (version ${version})`, async () => {
      const image = await open(several(version, { listed: ['0', '1'] }));
      assert.deepEqual(image.images, ['Series 0', 'Series 1']);
      const second = await open(several(version, { listed: ['0', '1'] }), { series: 1 });
      assert.equal((await second.readRegion({ channels: [1] })).data[0], omePixel(0, 1, 0, 0, 0));
      if (version === 2) assert.equal(second.channels[0].name, 'second');
      await assert.rejects(open(several(version, { listed: ['0', '1'] }), { series: 2 }), { code: 'invalid_argument' });
    });

    it(`counted where they are not listed, named as the OME-XML names them (version ${version})`, async () => {
      assert.equal((await open(several(version, {}))).images?.length, 3);
      const named = several(version, { listed: ['0', '1'], xml: titles(['left', 'right']) });
      assert.deepEqual((await open(named)).images, ['left', 'right']);
      const alike = several(version, { listed: ['0', '1'], xml: titles(['cells', 'cells']) });
      assert.deepEqual((await open(alike)).images, ['cells (series 0)', 'cells (series 1)']);
    });
  }
});

describe('shards', () => {
  /** Two chunks of 2 x 2, with the index in front or behind. */
  const shard = (location: 'start' | 'end') => {
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const before = location === 'start' ? 32 : 0;
    const index = new Uint8Array(BigUint64Array.of(BigInt(before), 4n, BigInt(before + 4), 4n).buffer);
    const parts = location === 'start' ? [index, data] : [data, index];
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  };
  for (const location of ['start', 'end'] as const)
    it(`with the index at their ${location}`, async () => {
      const bytes = { name: 'bytes', configuration: { endian: 'little' } };
      const configuration = { chunk_shape: [2, 2], codecs: [bytes], index_codecs: [bytes], index_location: location };
      const meta = {
        zarr_format: 3,
        node_type: 'array',
        shape: [2, 4],
        data_type: 'uint8',
        chunk_grid: { name: 'regular', configuration: { chunk_shape: [2, 4] } },
        chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
        fill_value: 0,
        codecs: [{ name: 'sharding_indexed', configuration }],
      };
      const image = await open(
        new Map([
          ['zarr.json', json(meta)],
          ['c/0/0', shard(location)],
        ]),
      );
      assert.deepEqual(Array.from((await image.readRegion({})).data), [1, 2, 5, 6, 3, 4, 7, 8]);
    });
});
