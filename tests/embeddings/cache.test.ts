import assert from 'node:assert/strict';
import * as zarr from 'zarrita';
import type { EmbeddingSource } from '../../src/embeddings/embedding-source.js';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import type { EmbeddingOptions } from '../../src/embeddings/options.js';
import { precomputeEmbeddings } from '../../src/embeddings/precompute.js';
import { pixelSignature } from '../../src/embeddings/signature.js';
import { SamError } from '../../src/errors.js';
import { openNdarray } from '../../src/io/ndarray.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { writeArray, writeGroup } from '../../src/io/zarr/writer.js';
import { zarritaStore } from '../../src/io/zarr/zarrita-store.js';
import { tensor } from '../../src/ndimage/array.js';
import { fromHalf } from '../../src/ndimage/half.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { filledAfter } from '../support/faulty-store.js';
import { HASH_MODEL, hashEncoder } from '../support/hash-encoder.js';
import { noiseVolume } from '../support/labels.js';
import { randomInteger, seededRandom } from '../support/random.js';

const withCode =
  (code: string, pattern = /./) =>
  (error: unknown) =>
    error instanceof SamError && error.code === code && pattern.test(error.message);

const plane = () => ({ ...noiseVolume(1), shape: [24, 32], axes: 'yx' });
const tiles = { tileShape: [16, 16], halo: [4, 4] } as const;

function open(image: Parameters<typeof openNdarray>[0], store?: Store, options: Partial<EmbeddingOptions> = {}) {
  const worker = hashEncoder();
  const opened = openEmbeddings({ source: openNdarray(image), worker, model: HASH_MODEL, store, ...options });
  return opened.then((embeddings) => ({ embeddings, worker }));
}

async function readByZarrita(store: Store, path: string) {
  const array = await zarr.open(zarr.root(zarritaStore(store)).resolve(path), { kind: 'array' });
  const { data, shape } = await zarr.get(array as zarr.Array<'float32', zarr.Readable>);
  return { data: data as Float32Array, shape, attrs: array.attrs };
}

async function attributesByZarrita(store: Store, path = '/') {
  return (await zarr.open(zarr.root(zarritaStore(store)).resolve(path), { kind: 'group' })).attrs;
}

describe('embedding cache', () => {
  it('of a plane is the array micro-sam would write, with its attributes', async () => {
    const store = memoryStore();
    const { embeddings } = await open(plane(), store);
    const { features } = await embeddings.embedding({ plane: 0 });
    assert.ok(!('input_size' in (await attributesByZarrita(store))), 'not complete yet');
    await precomputeEmbeddings(embeddings);
    const found = await readByZarrita(store, 'features');
    assert.deepEqual(found.shape, [1, 256, 64, 64]);
    assert.deepEqual(found.data, features.data);
    assert.deepEqual(await attributesByZarrita(store), {
      data_signature: await pixelSignature(openNdarray(plane())),
      tile_shape: null,
      halo: null,
      model_type: 'vit_t',
      model_name: 'vit_t',
      model_hash: `sha256:${'ab'.repeat(32)}`,
      micro_sam_version: 'micro-sam-imjoy 0.1',
      intensity: 'min-max',
      input_size: [768, 1024],
      original_size: [24, 32],
    });
  });

  it('of a stack has one chunk per plane, of tiles one array per tile with its own sizes', async () => {
    const stack = memoryStore();
    const { embeddings } = await open(noiseVolume(3), stack);
    await precomputeEmbeddings(embeddings);
    const all = await readByZarrita(stack, 'features');
    assert.deepEqual(all.shape, [3, 1, 256, 64, 64]);
    for (let z = 0; z < 3; z++) {
      const { features } = await embeddings.embedding({ plane: z });
      assert.deepEqual(all.data.subarray(z * features.data.length, (z + 1) * features.data.length), features.data);
    }

    for (const image of [plane(), noiseVolume(2)]) {
      const store = memoryStore();
      const tiled = (await open(image, store, { tiling: tiles })).embeddings;
      await precomputeEmbeddings(tiled);
      const root = await attributesByZarrita(store);
      assert.deepEqual(
        [root.tile_shape, root.halo, root.input_size, root.original_size],
        [[16, 16], [4, 4], null, null],
      );
      assert.deepEqual(await attributesByZarrita(store, '/features'), {
        shape: [24, 32],
        tile_shape: [16, 16],
        halo: [4, 4],
      });
      const { data, shape, attrs } = await readByZarrita(store, 'features/3');
      assert.deepEqual(shape, image.axes === 'yx' ? [1, 256, 64, 64] : [2, 1, 256, 64, 64]);
      assert.deepEqual(attrs, { original_size: [12, 20], input_size: [614, 1024] });
      const last = await tiled.embedding({ plane: tiled.planes - 1, tile: 3 });
      assert.deepEqual(data.slice(-last.features.data.length), last.features.data);
      assert.deepEqual(
        [last.originalSize, last.inputSize],
        [
          [12, 20],
          [614, 1024],
        ],
      );
    }
  });

  it('is read instead of encoding again, from memory or disk, and concurrent requests share one encoding', async () => {
    const store = memoryStore();
    const first = await open(noiseVolume(4), store);
    const got = await Promise.all([2, 2, 1].map((z) => first.embeddings.embedding({ plane: z })));
    assert.equal(got[0], got[1]);
    assert.equal(first.worker.encoded.length, 2);
    await first.embeddings.stored?.();
    const second = await open(noiseVolume(4), store);
    const again = await second.embeddings.embedding({ plane: 2 });
    assert.deepEqual(again, got[0]);
    assert.equal(second.worker.encoded.length, 0);
    assert.equal(await second.embeddings.isReady({ plane: 1 }), true);
    assert.equal(await second.embeddings.isReady({ plane: 0 }), false);
  });

  it('in half precision takes half the space and differs by rounding only', async () => {
    const [whole, half] = [memoryStore(), memoryStore()];
    const { features } = await (await open(plane(), whole)).embeddings.embedding({ plane: 0 });
    const { embeddings: halved } = await open(plane(), half, { half: true });
    await halved.embedding({ plane: 0 });
    await halved.stored();
    assert.equal((await half.get('features/c/0/0/0/0'))?.length, features.data.length * 2 + 4);
    const { embeddings, worker } = await open(plane(), half);
    const back = (await embeddings.embedding({ plane: 0 })).features.data;
    assert.equal(worker.encoded.length, 0);
    const wrong = back.findIndex((value, i) => {
      const whole = features.data[i];
      return !(Math.abs(value - whole) <= Math.max(Math.abs(whole) * 2 ** -11, 2 ** -25));
    });
    assert.equal(wrong, -1, `${features.data[wrong]} → ${back[wrong]}`);
  });

  it('of other pixels, another model, tiling or intensity is refused, saying which', async () => {
    const store = memoryStore();
    await precomputeEmbeddings((await open(plane(), store)).embeddings);
    const other = plane();
    other.data[5] ^= 1;
    await assert.rejects(open(other, store), withCode('signature_mismatch', /another image.*data_signature/));
    const model = { ...HASH_MODEL, name: 'vit_t_lm' };
    await assert.rejects(
      open(plane(), store, { model }),
      withCode('signature_mismatch', /another model \(model_name: "vit_t", wanted "vit_t_lm"\)/),
    );
    await assert.rejects(open(plane(), store, { tiling: tiles }), withCode('signature_mismatch', /tile_shape.*halo/));
    const intensity = { kind: 'percentile', low: 1, high: 99 } as const;
    await assert.rejects(open(plane(), store, { intensity }), withCode('signature_mismatch', /intensity/));
    assert.equal((await open(plane(), store)).embeddings.notices.length, 0);
  });

  it('of one encoder is good for every model that has it', async () => {
    const store = memoryStore();
    const microscopy = { ...HASH_MODEL, name: 'msi_lm', encoderName: HASH_MODEL.name };
    await precomputeEmbeddings((await open(plane(), store, { model: microscopy })).embeddings);
    for (const model of [HASH_MODEL, microscopy, { ...microscopy, name: 'mine' }]) {
      const { embeddings, worker } = await open(plane(), store, { model });
      await embeddings.embedding({ plane: 0 });
      assert.deepEqual([worker.encoded, embeddings.notices], [[], []], model.name);
    }
    await assert.rejects(open(plane(), store, { model: { ...HASH_MODEL, name: 'msi_lm' } }), {
      code: 'signature_mismatch',
    });
  });

  it('gives each image and setting a place of its own when it is asked for one', async () => {
    const stores = new Map<string, Store>();
    const place = (key: string) => {
      const store = stores.get(key) ?? memoryStore(key);
      stores.set(key, store);
      return store;
    };
    for (const options of [{}, { tiling: tiles }, {}])
      await openEmbeddings({
        source: openNdarray(plane()),
        worker: hashEncoder(),
        model: HASH_MODEL,
        store: place,
        ...options,
      });
    assert.equal(stores.size, 2);
  });

  it('that says nothing about its origin, or is damaged, is refused with advice', async () => {
    const unknown = memoryStore();
    await writeGroup(unknown, '', 3, {});
    await assert.rejects(
      open(plane(), unknown),
      withCode('signature_mismatch', /an image itself, or embeddings .* Choose another place/),
    );
    const damaged = memoryStore('m', [['zarr.json', new TextEncoder().encode('{"zarr_format": 3, "attr')]]);
    await assert.rejects(open(plane(), damaged), withCode('storage', /Delete them/));
  });

  it('of another writer is adopted with its tiling and intensity: zarr v2 and v3, gzip or raw, whole or tiled (thorough)', async () => {
    for (const version of [2, 3] as const)
      for (const compression of ['gzip', 'none'] as const)
        for (const tiled of [false, true]) {
          const image = noiseVolume(2);
          const store = memoryStore();
          const expected = await hashEncoder().encode('vit_t', tensor(new Uint8Array(12), [2, 2, 3]));
          const data = new Float32Array(2 * 256 * 64 * 64);
          data.set(expected.features.data, 256 * 64 * 64);
          const spec = {
            version,
            shape: [2, 1, 256, 64, 64],
            chunks: [1, 1, 256, 64, 64],
            dtype: 'float32',
            compression,
          } as const;
          if (tiled)
            await writeGroup(store, 'features', version, { shape: [24, 32], tile_shape: [16, 32], halo: [4, 4] });
          await writeArray(store, tiled ? 'features/1' : 'features', spec, tensor(data, spec.shape));
          await writeGroup(store, '', version, {
            data_signature: await pixelSignature(openNdarray(image)),
            tile_shape: tiled ? [16, 32] : null,
            halo: tiled ? [4, 4] : null,
            model_type: 'vit_t',
            model_name: 'vit_t',
            micro_sam_version: '1.8.0',
            model_hash: 'xxh128:00',
            input_size: tiled ? null : [768, 1024],
            original_size: tiled ? null : [24, 32],
          });
          const { embeddings, worker } = await open(image, store);
          assert.equal(embeddings.signature.intensity, 'min-max');
          const at = (z: number) => ({ plane: z, ...(tiled && { tile: 1 }) });
          assert.deepEqual((await embeddings.embedding(at(1))).features.data, expected.features.data);
          assert.equal(worker.encoded.length, 0);
          await embeddings.embedding(at(0));
          assert.equal(worker.encoded.length, 1, 'a chunk that was never written is encoded');
        }
  });

  it('cut at a random byte anywhere never gives other features: it is computed again or refused (thorough)', async () => {
    const random = seededRandom(77);
    for (const half of [false, true])
      for (const image of [plane(), noiseVolume(2)]) {
        const store = memoryStore();
        const tiling = random() < 0.5 ? tiles : ('none' as const);
        const { embeddings } = await open(image, store, { half, tiling });
        await precomputeEmbeddings(embeddings);
        const at = { plane: embeddings.planes - 1, ...(embeddings.tiling && { tile: 1 }) };
        const truth = (await (await open(image, store, { tiling })).embeddings.embedding(at)).features.data;
        for (const key of await listKeys(store)) {
          const bytes = (await store.get(key))!;
          await store.set(key, bytes.slice(0, randomInteger(random, 0, bytes.length)));
          const opened = await open(image, store, { tiling }).catch((error) => error);
          if (opened instanceof Error)
            assert.ok(withCode('storage')(opened) && /zarr.json/.test(key), `${key}: ${opened}`);
          else {
            const { features } = await opened.embeddings.embedding(at);
            const tolerance = half ? 2 ** -11 : 0;
            assert.ok(
              features.data.every((value: number, i: number) => Math.abs(value - truth[i]) <= tolerance),
              key,
            );
          }
          await store.set(key, bytes);
        }
      }
  });

  it('with one flipped bit is computed again', async () => {
    const store = memoryStore();
    const { embeddings } = await open(plane(), store);
    const { features } = await embeddings.embedding({ plane: 0 });
    await embeddings.stored();
    const bytes = (await store.get('features/c/0/0/0/0'))!;
    bytes[1_000_003] ^= 4;
    await store.set('features/c/0/0/0/0', bytes);
    const { embeddings: again, worker } = await open(plane(), store);
    assert.deepEqual((await again.embedding({ plane: 0 })).features.data, features.data);
    assert.equal(worker.encoded.length, 1);
  });

  it('on a full disk: the embedding is used all the same, and precomputing stops with a clear error', async () => {
    const store = filledAfter(memoryStore(), 3);
    const { embeddings } = await open(noiseVolume(4), store);
    await assert.rejects(precomputeEmbeddings(embeddings), withCode('storage', /disk is full/));
    assert.equal((await embeddings.embedding({ plane: 3 })).features.data.length, 256 * 64 * 64);
    await assert.rejects(embeddings.stored(), withCode('storage'));
    assert.ok(!('input_size' in (await attributesByZarrita(store))));
  });

  it('in a place that cannot be written: segmenting goes on from memory, precomputing says why it cannot', async () => {
    const store = filledAfter(memoryStore(), 0);
    const { embeddings, worker } = await open(noiseVolume(2), store);
    await embeddings.embedding({ plane: 1 });
    await embeddings.embedding({ plane: 1 });
    assert.equal(worker.encoded.length, 1);
    await assert.rejects(embeddings.stored(), withCode('storage'));
    await assert.rejects(precomputeEmbeddings(embeddings), withCode('storage', /disk is full/));
  });

  it('is what segmentation takes its embeddings from', async () => {
    const { embeddings } = await open(plane(), undefined, { tiling: tiles });
    const source: EmbeddingSource = embeddings;
    assert.deepEqual(
      [source.size, source.tiling?.grid],
      [
        [24, 32],
        [2, 2],
      ],
    );
    assert.deepEqual((await source.embedding({ plane: 0, tile: 3 })).originalSize, [12, 20]);
    for (const at of [{ plane: 0 }, { plane: 0, tile: 4 }, { plane: 1, tile: 0 }, { plane: -1, tile: 0 }])
      await assert.rejects(source.embedding(at), withCode('invalid_argument'));
  });

  it('is a bounded memory when there is no store', async () => {
    const { embeddings, worker } = await open(noiseVolume(5), undefined, { memoryBytes: 2.5 * 256 * 64 * 64 * 4 });
    for (const z of [0, 1, 2, 2, 1, 0]) await embeddings.embedding({ plane: z });
    assert.equal(worker.encoded.length, 4, 'plane 0 went when plane 2 came');
  });
});

describe('maps of an instance decoder', () => {
  const image = plane();
  /** Encodes by noise; its instance decoder takes `s0` and gives back one value of it. */
  function withInstances() {
    const base = hashEncoder();
    let asked = 0;
    const worker: SamWorker = {
      ...base,
      async encode(model, pixels, options) {
        const embedding = await base.encode(model, pixels, options);
        const bits = Uint16Array.from({ length: 3 * 4 * 4 }, (_, i) => 0x3c00 + i + pixels.data[0]);
        return options?.early ? { ...embedding, early: { s0: tensor(bits, [1, 3, 4, 4]) } } : embedding;
      },
      async instanceMaps(_model, embedding) {
        asked++;
        if (!embedding.early) throw new SamError('no_embedding', 'It takes s0.');
        return {
          maps: tensor(fromHalf(embedding.early.s0.data), [3, 4, 4]),
          cell: 256,
          inputSize: embedding.inputSize,
        };
      },
    };
    return { worker, encoded: base.encoded, asked: () => asked };
  }
  const model = { ...HASH_MODEL, instances: { url: 'test:instances' } };

  it('are there only with one', async () => {
    assert.equal((await open(image)).embeddings.instanceMaps, undefined);
  });

  it('come from early features that were kept in half precision: nothing is encoded again', async () => {
    for (const tiling of ['none', tiles] as const) {
      const store = memoryStore();
      const first = withInstances();
      const places = tiling === 'none' ? [{ plane: 0 }, { plane: 1 }] : [{ plane: 1, tile: 2 }];
      const source = openNdarray(noiseVolume(2));
      const before = await openEmbeddings({ source, model, store, tiling, worker: first.worker });
      for (const at of places) await before.embedding(at);
      await before.stored();
      const second = withInstances();
      const after = await openEmbeddings({ source, model, store, tiling, worker: second.worker });
      for (const at of places)
        assert.deepEqual(await after.instanceMaps!(at), await before.instanceMaps!(at), 'the same maps');
      assert.deepEqual([first.encoded.length, second.encoded.length], [places.length, 0]);
    }
  });

  it('of embeddings without early features, or with damaged ones, encode the place once more and keep them', async () => {
    const store = memoryStore();
    const { embeddings } = await open(image, store); // by a program without an instance decoder
    await embeddings.embedding({ plane: 0 });
    await embeddings.stored();
    const source = openNdarray(image);
    for (const [encodes, damage] of [
      [1, false],
      [0, false],
      [1, true],
    ] as const) {
      const worker = withInstances();
      if (damage) await store.set('early/s0/c/0/0/0/0', new Uint8Array(100));
      const again = await openEmbeddings({ source, model, store, worker: worker.worker });
      assert.deepEqual((await again.instanceMaps!({ plane: 0 })).maps.shape, [3, 4, 4]);
      await again.instanceMaps!({ plane: 0 });
      await again.stored();
      assert.equal(worker.encoded.length, encodes);
    }
  });

  it('of a box are encoded for it', async () => {
    const { worker, encoded } = withInstances();
    const embeddings = await openEmbeddings({ source: openNdarray(image), model, worker });
    await embeddings.instanceMaps!({ plane: 0, box: [2, 3, 12, 20] });
    assert.deepEqual(encoded, [[10, 17, 3]]);
  });
});
