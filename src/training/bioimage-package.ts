import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { SamError } from '../errors.js';
import { cellPhantom } from '../io/phantom/phantom.js';
import { entryOf } from '../items.js';
import { earlyFeature } from '../model/early-features.js';
import { toImage } from '../model/intensity.js';
import type { ModelSpec } from '../model/model-spec.js';
import { resizeImage } from '../model/resize.js';
import { float32Of, type OrtRuntime } from '../model/runtime.js';
import { toHalf } from '../ndimage/half.js';
import { removeDeadCode } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/model.js';
import { ShapedBuilder } from '../onnx/shaped-builder.js';
import { writeModel } from '../onnx/write.js';
import { CACHED, EARLY } from './instances/feature-cache.js';
import { DECODER_PARAMETERS, emitLightDecoder } from './instances/light-decoder.js';
import type { ModelCard } from './model-card.js';
import type { Weights } from './parameters.js';

/**
 * A model as programs of the BioImage Model Zoo run it (model description 0.5, https://bioimage.io): one graph from an
 * image to the maps of its objects, the encoder and the instance decoder together; a picture and its maps to test it by. Prompts
 * are no part of it: that description knows no model that is asked several times about an image.
 */
export interface PackagedModel {
  readonly model: ModelSpec;
  /** With what was trained of it. */
  readonly encoder: OnnxModel;
  readonly instances: Weights;
  /** Of one that was trained here. */
  readonly card?: ModelCard;
  /** SPDX identifier, if that of the model is not known. */
  readonly licence?: string;
}

const SIDE = 1024;
const IMAGE = 'image';
const MAPS = 'maps';
const CHANNELS = ['foreground', 'distance to the centre', 'distance to the boundary'];

/**
 * @returns the files of a package, `rdf.yaml` among them
 * @throws SamError `unsupported` if the encoder takes other images than SAM's usual ones
 */
export async function bioimageFiles(runtime: OrtRuntime, packaged: PackagedModel): Promise<Map<string, Uint8Array>> {
  const graph = writeModel(wholeGraph(packaged));
  const [image, maps] = await testTensors(runtime, graph);
  const text = new TextEncoder();
  const files = new Map([
    ['model.onnx', graph],
    ['test_input.npy', image],
    ['test_output.npy', maps],
    ['README.md', text.encode(readme(packaged))],
  ]);
  const hashOf = (file: string) => bytesToHex(sha256(entryOf(files, file)));
  return files.set('rdf.yaml', text.encode(yaml(description(packaged, hashOf))));
}

/** From [1, 3, 1024, 1024], RGB of 0 to 255, to maps of 0 to 1, [1, 3, 512, 512]. */
function wholeGraph({ encoder, instances, model }: PackagedModel): OnnxModel {
  const { layout, side, mean, std } = model.encoderInput;
  if (layout !== 'nchw' || side !== SIDE)
    throw new SamError('unsupported', `Only encoders of ${SIDE} x ${SIDE} pixels, channels first, are described.`);
  const g = new ShapedBuilder();
  const image = g.input(IMAGE, [1, 3, SIDE, SIDE]);
  const perChannel = (name: string, values: readonly number[]) =>
    g.constant(name, [1, 3, 1, 1], Float32Array.from(values));
  const normal = g.div(g.sub(image, perChannel('mean', mean)), perChannel('std', std));
  const [input] = encoder.graph.inputs;
  g.append({ name: 'normalised', op: 'Identity', domain: '', inputs: [normal], outputs: [input.name], attributes: [] });
  const emb = encoder.graph.outputs[0].name;
  const [s0, s1] = EARLY.map((name) => earlyFeature(encoder, name, model.earlyFeatures?.[name]));
  g.take(encoder.graph, {}, [emb, s0, s1]);
  const shapes = new Map(DECODER_PARAMETERS.map(({ name, shape }) => [name, shape]));
  const weight = (name: string) => g.half(`instances/${name}`, entryOf(shapes, name), toHalf(entryOf(instances, name)));
  g.output(MAPS, g.sigmoid(emitLightDecoder(g, { emb, s0, s1, img: halfSize(g, image) }, weight)));
  const whole = g.finish('objects of an image');
  removeDeadCode(whole.graph);
  return whole;
}

/** As `halfSizeImage` of model/instance-decoder.ts. */
function halfSize(g: ShapedBuilder, image: string): string {
  const every = (axis: number, start: number, x: string) =>
    g.node('Slice', [x, g.ints(start), g.ints(SIDE), g.ints(axis), g.ints(2)]);
  const sum = (axis: number, x: string) => g.add(every(axis, 0, x), every(axis, 1, x));
  return g.sub(g.mul(sum(3, sum(2, image)), g.scalar(2 / (4 * 255))), g.scalar(2 * 0.45));
}

/** A drawn picture of cells, and what the model makes of it. */
async function testTensors(runtime: OrtRuntime, graph: Uint8Array): Promise<[image: Uint8Array, maps: Uint8Array]> {
  const { data } = resizeImage(toImage(cellPhantom().image), [SIDE, SIDE]);
  const pixels = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) pixels[(i % 3) * SIDE * SIDE + Math.floor(i / 3)] = data[i];
  const shape = [1, 3, SIDE, SIDE];
  const session = await runtime.createSession(graph);
  try {
    const feeds = { [IMAGE]: runtime.tensor('float32', Float32Array.from(pixels), shape) };
    const maps = (await session.run(feeds))[MAPS];
    return [npy(pixels, shape, '|u1'), npy(float32Of(maps), maps.dims, '<f4')];
  } finally {
    await session.release();
  }
}

function description({ card, model, licence }: PackagedModel, hashOf: (file: string) => string) {
  const file = (source: string) => ({ source, sha256: hashOf(source) });
  const channels = (names: readonly string[]) => ({ type: 'channel', channel_names: names });
  const space = (size: number, scale: number) =>
    ['y', 'x'].map((id) => ({ type: 'space', id, size, ...(scale !== 1 && { scale }) }));
  return {
    format_version: '0.5.4',
    type: 'model',
    name: `All objects by ${model.name}`.replace(/[^\w +\-()]/g, ' '),
    description: `Maps of all objects of an image. ${model.description ?? ''}`.trim(),
    authors: [{ name: 'not named yet' }],
    cite: [
      { text: 'Archit et al.: Segment Anything for Microscopy', doi: '10.1038/s41592-024-02580-4' },
      { text: 'Zhang et al.: Faster Segment Anything (MobileSAM)', doi: '10.48550/arXiv.2306.14289' },
    ],
    license: licence ?? model.licence,
    tags: ['instance-segmentation', 'segment-anything', '2d'],
    documentation: 'README.md',
    ...(card && { timestamp: `${card.date}T00:00:00+00:00` }),
    inputs: [
      {
        id: IMAGE,
        description: 'RGB of 0 to 255; a grey image three times; longest side 1024 pixels, the rest of one colour',
        axes: [{ type: 'batch', size: 1 }, channels(['red', 'green', 'blue']), ...space(SIDE, 1)],
        data: { type: 'uint8' },
        preprocessing: [{ id: 'ensure_dtype', kwargs: { dtype: 'float32' } }],
        test_tensor: file('test_input.npy'),
      },
    ],
    outputs: [
      {
        id: MAPS,
        description: 'probability of the foreground; distances, 0 in the centre and far from the boundary, 1 on it',
        axes: [{ type: 'batch', size: 1 }, channels(CHANNELS), ...space(CACHED.target.side, 2)],
        data: { type: 'float32', range: [0, 1] },
        test_tensor: file('test_output.npy'),
      },
    ],
    weights: { onnx: { ...file('model.onnx'), opset_version: 17 } },
  };
}

function readme({ model, card }: PackagedModel): string {
  const about = [
    `# ${model.name}`,
    '',
    ...(model.description ? [model.description, ''] : []),
    'Objects are found in the maps by a watershed from where both distances are small, inside the foreground.',
    '',
  ];
  return [...about, ...(card ? history(card) : [])].join('\n');
}

function history(card: ModelCard): string[] {
  const rows = (images: ModelCard['trainedOn']) =>
    images.map(({ image, size, objects }) => `- ${image}: ${size.join(' x ')} pixels, ${objects} objects`);
  const scores = (['instances', 'late', 'full', 'lora'] as const).flatMap((part) => {
    const { accuracy, before, step } = card[part] ?? {};
    if (accuracy === undefined) return [];
    return [`- ${part}, step ${step}: ${before === undefined ? '' : `${before.toFixed(3)} → `}${accuracy.toFixed(3)}`];
  });
  return [
    `Trained from ${card.base} by micro-sam train, seed ${card.seed}, ${card.date}.`,
    '',
    '## Trained on',
    '',
    ...rows(card.trainedOn),
    '',
    '## Validation: scored on',
    '',
    ...(card.scoredOn.length > 0 ? rows(card.scoredOn) : ['Nothing: there were too few images.']),
    '',
    ...scores,
    '',
  ];
}

/** Maps, lists, texts, numbers, as YAML; texts as JSON has them, which YAML reads. */
function yaml(value: unknown, indent = ''): string {
  if (typeof value !== 'object' || value === null) return ` ${JSON.stringify(value)}\n`;
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((item) => `${indent}-${yaml(item, inner).replace(/^\n +/, ' ')}`)
    : Object.entries(value).map(([key, item]) => `${indent}${key}:${yaml(item, inner)}`);
  return (indent === '' ? '' : '\n') + lines.join('');
}

/** An array as NumPy keeps it, format 1.0; C order. */
function npy(
  { buffer, byteOffset, byteLength }: Uint8Array | Float32Array,
  shape: readonly number[],
  type: string,
): Uint8Array {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const text = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11);
  const bytes = new Uint8Array(10 + text.length + 1 + byteLength);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, (text.length + 1) & 255, (text.length + 1) >> 8]);
  bytes.set(new TextEncoder().encode(`${text}\n`), 10);
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength), 11 + text.length);
  return bytes;
}
