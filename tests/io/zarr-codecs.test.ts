import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { CodecPipelineError, registry } from 'zarrita';
import { SamError } from '../../src/errors.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { openZarrArray, readNode } from '../../src/io/zarr/array.js';
import { openArray } from '../../src/io/zarr/open-array.js';
import { bombs } from '../support/bombs.js';
import { madeOmeZarr } from '../support/zarr-builder.js';

const sharded = (codecs: unknown, index_codecs: unknown) => [
  { name: 'sharding_indexed', configuration: { chunk_shape: [1, 1, 8, 8], codecs, index_codecs } },
];
const bytes = { name: 'bytes', configuration: { endian: 'little' } };

describe('codecs of a zarr that are not known', () => {
  const cases: readonly [string, 2 | 3, object, SamError['code'], RegExp][] = [
    [
      'two filters',
      2,
      { filters: [{ id: 'delta9' }, { id: 'wavpack' }] },
      'unsupported',
      /not read: numcodecs\.delta9/,
    ],
    ['a filter without a name', 2, { filters: [{ id: 'delta9' }, null] }, 'unsupported', /delta9/],
    ['filters that are no list', 2, { filters: 'ab' }, 'invalid_image', /codecs .* damaged/],
    ['a compressor without a name', 2, { compressor: { level: 3 } }, 'invalid_image', /codecs .* damaged/],
    ['two codecs', 3, { codecs: [{ name: 'one' }, { name: 'two' }] }, 'unsupported', /not read: one/],
    ['no codecs', 3, { codecs: null }, 'invalid_image', /codecs .* damaged/],
    ['codecs without names', 3, { codecs: [null, 7] }, 'invalid_image', /codecs .* damaged/],
    ['two in shards', 3, { codecs: sharded([{ name: 'one' }, { name: 'two' }], [bytes]) }, 'unsupported', /one/],
    ['one in an index', 3, { codecs: sharded([bytes], [bytes, { name: 'two' }]) }, 'unsupported', /two/],
    ['shards in shards', 3, { codecs: sharded(sharded([bytes], [bytes]), [bytes]) }, 'unsupported', /sharding_indexed/],
  ];
  for (const [what, version, change, code, message] of cases)
    it(`${what}: are named, and nothing fails beside the call`, async () => {
      const entries = new Map(madeOmeZarr(version));
      const key = version === 3 ? '0/zarr.json' : '0/.zarray';
      const metadata = JSON.parse(new TextDecoder().decode(entries.get(key)));
      entries.set(key, new TextEncoder().encode(JSON.stringify({ ...metadata, ...change })));
      const unheard: unknown[] = [];
      const hear = (error: unknown) => void unheard.push(error);
      process.prependListener('unhandledRejection', hear);
      try {
        const reading = openImage(memoryStore('made', entries)).then((image) =>
          image.readRegion({ t: 0, z: 0, level: 0, box: [0, 0, 8, 8] }),
        );
        await assert.rejects(reading, (error) => {
          assert.ok(error instanceof SamError, String(error));
          assert.equal(error.code, code);
          assert.match(error.message, message);
          return true;
        });
        await wait(5);
        assert.deepEqual(unheard, []);
      } finally {
        process.removeListener('unhandledRejection', hear);
      }
    });
});

describe('limits of what a zarr unpacks to', () => {
  const files = new Map(bombs().get('zarr lz4'));
  const store = memoryStore('made', files);

  it('hold wherever one is read, also where zarrita opens it', async () => {
    const node = await readNode(store, 'a.zarr');
    const ours = await openZarrArray(store, 'a.zarr', node!);
    const claims = /A chunk claims \d+ bytes where at most \d+ belong/;
    await assert.rejects(ours.chunk([0, 0], {}), { code: 'invalid_image', message: claims });
    const theirs = await openArray(store, 'a.zarr');
    await assert.rejects(theirs.getChunk([0, 0]), (error) => {
      assert.ok(error instanceof CodecPipelineError && error.cause instanceof SamError);
      assert.match(error.cause.message, claims);
      return true;
    });
  });

  it("leave zarrita's codecs to others as they are", async () => {
    for (const name of ['gzip', 'zlib', 'numcodecs.gzip', 'numcodecs.zlib']) {
      const codec = await registry.get(name)?.();
      assert.match(String(codec), /^class (Gzip|Zlib)Codec\b/, name);
    }
    const before = JSON.parse(new TextDecoder().decode(files.get('a.zarr/.zarray')));
    assert.deepEqual((await readNode(store, 'a.zarr'))?.metadata, before);
  });
});
