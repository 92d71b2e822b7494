import type { ModelDeclaration } from '../../src/model/registry.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import type { OnnxModel, OnnxNode } from '../../src/onnx/model.js';
import { emitOfficialDecoder } from '../../src/onnx/sam/emit-official.js';
import { readWeights } from '../../src/onnx/sam/read-weights.js';
import { writeModel } from '../../src/onnx/write.js';
import { minisamFile } from './mobile-sam-checkpoint.js';
import { seededRandom } from './random.js';

/**
 * MobileSAM with the inputs and outputs of other families: the same arithmetic behind EfficientViT-SAM's, SAM 2's and
 * transformers' names, shapes and sizes, so that what it gives must be what the official signature gives.
 */
export interface FamilyModel {
  readonly declaration: Pick<ModelDeclaration, 'family'> & { readonly name: string };
  readonly encoder: Uint8Array;
  readonly decoder: Uint8Array;
  /** Side of the picture that its encoder takes, and whether that is stretched. */
  readonly side: number;
  readonly stretched: boolean;
  /** Which of SAM's masks it gives. */
  readonly tokens: readonly number[];
}

/** @param realEncoder MobileSAM's own, for masks that mean something; else one of milliseconds */
export function familyModels(realEncoder = false): FamilyModel[] {
  const fixed = { side: 1024, stretched: true, tokens: [1, 2, 3] };
  return [
    {
      declaration: { name: 'family-efficientvit', family: 'efficientvit-sam' },
      encoder: encoder('input_image', 'image_embeddings', { side: 512, realEncoder }),
      decoder: efficientVitDecoder(),
      side: 512,
      stretched: false,
      tokens: [0, 1, 2, 3],
    },
    {
      declaration: { name: 'family-sam2', family: 'sam2' },
      encoder: encoder('image', 'image_embed', { levels: ['high_res_feats_0', 'high_res_feats_1'], realEncoder }),
      decoder: sam2Decoder(),
      ...fixed,
    },
    {
      declaration: { name: 'family-transformers-sam2', family: 'transformers-sam2' },
      encoder: encoder('pixel_values', 'image_embeddings.2', {
        levels: ['image_embeddings.0', 'image_embeddings.1'],
        realEncoder,
      }),
      decoder: transformersDecoder(['image_embeddings.0', 'image_embeddings.1'], 'image_embeddings.2'),
      ...fixed,
    },
    {
      declaration: { name: 'family-transformers', family: 'transformers' },
      encoder: encoder('pixel_values', 'image_embeddings', { realEncoder }),
      decoder: transformersDecoder([], 'image_embeddings'),
      side: 1024,
      stretched: false,
      tokens: [1, 2, 3],
    },
  ];
}

/** The official signature, with all four masks. */
export function officialDecoder(): OnnxModel {
  return emitOfficialDecoder(readWeights(minisamFile('sam').graph));
}

interface EncoderOptions {
  readonly side?: number;
  readonly levels?: readonly string[];
  readonly realEncoder: boolean;
}

/** Embedding, and levels that are means of the image's cells in so many channels. */
function encoder(input: string, output: string, { side = 1024, levels = [], realEncoder }: EncoderOptions): Uint8Array {
  const random = seededRandom(7);
  const g = new GraphBuilder('outer/');
  const image = g.input(input, [1, 3, side, side]);
  const cells = (length: number) =>
    g.node('AveragePool', [image], { kernel_shape: [length, length], strides: [length, length] });
  const mixed = (name: string, channels: number, x: string) => {
    const weights = Float32Array.from({ length: channels * 3 }, () => random() - 0.5);
    return g.node('Conv', [x, g.constant(name, [channels, 3, 1, 1], weights)]);
  };
  levels.forEach((level, n) => {
    const [channels, grid] = [
      [32, 256],
      [64, 128],
    ][n];
    g.output(level, mixed(`level ${n}`, channels, cells(side / grid)), [1, channels, grid, grid]);
  });
  if (!realEncoder) {
    g.output(output, mixed('mix', 256, cells(side / 64)), [1, 256, 64, 64]);
    return writeModel(g.finish('encoder'));
  }
  const scale = 1024 / side;
  const sizes = g.constant('scales', [4], Float32Array.of(1, 1, scale, scale));
  const enlarged =
    scale === 1
      ? image
      : g.node('Resize', [image, g.constant('roi', [0], new Float32Array(0)), sizes], { mode: { text: 'linear' } });
  const base = minisamFile('encoder');
  const run = around(g, base, { [base.graph.inputs[0].name]: enlarged });
  g.output(output, run.outputs[0], [1, 256, 64, 64]);
  return writeModel(run.finish('encoder'));
}

/** efficientvit's export_decoder.py: no mask prompts, all four masks, under another name. */
function efficientVitDecoder(): Uint8Array {
  const g = new GraphBuilder('outer/');
  const run = around(g, officialDecoder(), {
    image_embeddings: g.input('image_embeddings', [1, 256, 64, 64]),
    point_coords: g.input('point_coords', ['B', 'N', 2]),
    point_labels: g.input('point_labels', ['B', 'N']),
    ...noMask(g),
  });
  g.output('masks', run.outputs[0], ['B', 4, 256, 256]);
  g.output('iou_predictions', run.outputs[1], ['B', 4]);
  return writeModel(run.finish('decoder'));
}

/** samexporter's export_sam2.py: it appends the padding point; masks 1 to 3, between -32 and 32. */
function sam2Decoder(): Uint8Array {
  const g = new GraphBuilder('outer/');
  const embedding = g.input('image_embed', [1, 256, 64, 64]);
  const levels = [g.input('high_res_feats_0', [1, 32, 256, 256]), g.input('high_res_feats_1', [1, 64, 128, 128])];
  const coords = g.input('point_coords', ['B', 'N', 2]);
  const labels = g.input('point_labels', ['B', 'N']);
  const mask = g.input('mask_input', ['B', 1, 256, 256]);
  const hasMask = g.input('has_mask_input', ['B']);
  const run = around(g, officialDecoder(), {
    image_embeddings: embedding,
    point_coords: g.node('Concat', [coords, g.constant('origin', [1, 1, 2], new Float32Array(2))], { axis: 1 }),
    point_labels: g.node('Concat', [labels, g.constant('padding', [1, 1], Float32Array.of(-1))], { axis: 1 }),
    mask_input: mask,
    has_mask_input: hasMask,
  });
  g.output('masks', g.node('Clip', [g.slice(run.outputs[0], 1, 4), g.scalar(-32), g.scalar(32)]));
  g.output('iou_predictions', shown(g, g.slice(run.outputs[1], 1, 4), levels));
  return writeModel(run.finish('decoder'));
}

/** As transformers.js feeds it: boxes [1, 0, 4] for points alone, points [1, 1, 0, 2] for a box alone. */
function transformersDecoder(levelNames: readonly string[], embeddingName: string): Uint8Array {
  const g = new GraphBuilder('outer/');
  const levels = levelNames.map((name, n) => g.input(name, n === 0 ? [1, 32, 256, 256] : [1, 64, 128, 128]));
  const embedding = g.input(embeddingName, [1, 256, 64, 64]);
  const positions = levels.length > 0 ? undefined : g.input('image_positional_embeddings', [1, 256, 64, 64]);
  const points = g.node('Squeeze', [g.input('input_points', [1, 1, 'N', 2]), g.ints(1)]);
  const labels = g.node('Squeeze', [g.input('input_labels', [1, 1, 'N'], 7), g.ints(1)]);
  const boxes = g.input('input_boxes', [1, 'M', 4]);
  const count = g.node('Slice', [g.node('Shape', [boxes]), g.ints(1), g.ints(2)]);
  const twice = g.mul(count, g.ints(2));
  const shape = (...parts: string[]) => g.node('Concat', parts, { axis: 0 });
  const corners = g.node('Reshape', [boxes, shape(g.ints(1), twice, g.ints(2))], { allowzero: 1 });
  const ofCorners = g.node('Tile', [g.constant('corners', [1, 2], Float32Array.of(2, 3)), shape(g.ints(1), count)]);
  // Padding only where there is no box.
  const pads = g.node('Sub', [g.ints(1), count]);
  const origin = g.node('ConstantOfShape', [shape(g.ints(1), pads, g.ints(2))]);
  const padding = g.node('Sub', [g.node('ConstantOfShape', [shape(g.ints(1), pads)]), g.scalar(1)]);
  const run = around(g, officialDecoder(), {
    image_embeddings: embedding,
    point_coords: g.node('Concat', [points, corners, origin], { axis: 1 }),
    point_labels: g.node('Concat', [g.node('Cast', [labels], { to: 1 }), ofCorners, padding], { axis: 1 }),
    ...noMask(g),
  });
  const inputs = positions === undefined ? levels : [g.mul(positions, g.scalar(0))];
  g.output('iou_scores', g.node('Unsqueeze', [shown(g, g.slice(run.outputs[1], 1, 4), inputs), g.ints(1)]));
  g.output('pred_masks', g.node('Unsqueeze', [g.slice(run.outputs[0], 1, 4), g.ints(1)]));
  return writeModel(run.finish('decoder'));
}

function noMask(g: GraphBuilder) {
  return {
    mask_input: g.constant('no mask', [1, 1, 256, 256], new Float32Array(65536)),
    has_mask_input: g.constant('has no mask', [1], new Float32Array(1)),
  };
}

/** Scores in which the means of the levels show: the first, and ten times the second. */
function shown(g: GraphBuilder, scores: string, levels: readonly string[]): string {
  return levels.reduce((sum, level, n) => {
    const mean = g.node('ReduceMean', [level], { keepdims: 0 });
    return g.add(sum, g.mul(mean, g.scalar(10 ** n)));
  }, scores);
}

/** A graph inside another; what is built before it feeds it, what is built after takes its outputs. */
function around(g: GraphBuilder, base: OnnxModel, inputs: Readonly<Record<string, string>>) {
  const before = g.finish('').graph.nodes.length;
  const { graph } = base;
  const outputs = graph.outputs.map(({ name }) => name);
  const renamed = (name: string) => inputs[name] ?? (outputs.includes(name) ? `inner ${name}` : name);
  const inner = graph.nodes.map(
    (node): OnnxNode => ({
      ...node,
      name: `inner ${node.name}`,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    }),
  );
  return {
    outputs: outputs.map(renamed),
    finish(name: string): OnnxModel {
      const outer = g.finish(name);
      const nodes = [...outer.graph.nodes.slice(0, before), ...inner, ...outer.graph.nodes.slice(before)];
      const initializers = [...outer.graph.initializers, ...graph.initializers];
      return { ...outer, opsets: base.opsets, graph: { ...outer.graph, nodes, initializers } };
    },
  };
}
