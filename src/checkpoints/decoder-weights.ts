import { SamError } from '../errors.js';
import type { Constant } from '../onnx/graph.js';
import { transposed } from '../onnx/sam/fold.js';
import type { Attention, Convolution, Linear, Norm, SamDecoderWeights, TwoWayLayer } from '../onnx/sam/weights.js';
import { WIDTH } from '../onnx/sam/weights.js';
import type { TaskOptions } from '../task.js';
import type { Tensors } from './tensor.js';

/**
 * The prompt encoder and mask decoder of a state dict, by the names of segment_anything/modeling (1.0).
 *
 * @throws SamError `model_unavailable` if weights are missing or have other shapes
 */
export async function readDecoderWeights(tensors: Tensors, options: TaskOptions = {}): Promise<SamDecoderWeights> {
  const get = async (name: string, ...shape: number[]): Promise<Constant> => {
    const tensor = tensors.get(name);
    if (tensor && String(tensor.shape) === String(shape)) return { dims: shape, data: await tensor.read(options) };
    const got = tensor ? `has '${name}' with shape [${tensor.shape.join(', ')}]` : `lacks '${name}'`;
    throw new SamError('model_unavailable', `The checkpoint ${got}, where SAM's decoder has [${shape.join(', ')}].`, {
      details: { name },
    });
  };
  const linear = async (name: string, inputs: number, outputs: number): Promise<Linear> => ({
    weight: transposed(await get(`${name}.weight`, outputs, inputs)),
    bias: await get(`${name}.bias`, outputs),
  });
  const norm = async (name: string, width: number, epsilon = 1e-5): Promise<Norm> => ({
    weight: await get(`${name}.weight`, width),
    bias: await get(`${name}.bias`, width),
    epsilon,
  });
  const convolution = async (name: string, bias: number, ...shape: number[]): Promise<Convolution> => ({
    weight: await get(`${name}.weight`, ...shape),
    bias: await get(`${name}.bias`, bias),
  });
  const attention = async (name: string, inner: number): Promise<Attention> => ({
    q: await linear(`${name}.q_proj`, WIDTH, inner),
    k: await linear(`${name}.k_proj`, WIDTH, inner),
    v: await linear(`${name}.v_proj`, WIDTH, inner),
    out: await linear(`${name}.out_proj`, inner, WIDTH),
  });
  const layer = async (name: string): Promise<TwoWayLayer> => ({
    selfAttention: await attention(`${name}.self_attn`, WIDTH),
    tokenToImage: await attention(`${name}.cross_attn_token_to_image`, WIDTH / 2),
    mlp: [await linear(`${name}.mlp.lin1`, WIDTH, 2048), await linear(`${name}.mlp.lin2`, 2048, WIDTH)],
    imageToToken: await attention(`${name}.cross_attn_image_to_token`, WIDTH / 2),
    norms: [
      await norm(`${name}.norm1`, WIDTH),
      await norm(`${name}.norm2`, WIDTH),
      await norm(`${name}.norm3`, WIDTH),
      await norm(`${name}.norm4`, WIDTH),
    ],
  });
  const perceptron = async (name: string, outputs: number): Promise<Linear[]> => [
    await linear(`${name}.layers.0`, WIDTH, WIDTH),
    await linear(`${name}.layers.1`, WIDTH, WIDTH),
    await linear(`${name}.layers.2`, WIDTH, outputs),
  ];

  const labels = new Map<number, Constant>([[-1, await get('prompt_encoder.not_a_point_embed.weight', 1, WIDTH)]]);
  for (const label of [0, 1, 2, 3])
    labels.set(label, await get(`prompt_encoder.point_embeddings.${label}.weight`, 1, WIDTH));
  const mask = 'prompt_encoder.mask_downscaling';
  const iouToken = await get('mask_decoder.iou_token.weight', 1, WIDTH);
  const maskTokens = await get('mask_decoder.mask_tokens.weight', 4, WIDTH);
  const hypernetworks: Linear[][] = [];
  for (let i = 0; i < 4; i++) hypernetworks.push(await perceptron(`mask_decoder.output_hypernetworks_mlps.${i}`, 32));
  const transformer = 'mask_decoder.transformer';
  return {
    prompt: {
      gaussian: await get('prompt_encoder.pe_layer.positional_encoding_gaussian_matrix', 2, WIDTH / 2),
      labels,
      noMask: await get('prompt_encoder.no_mask_embed.weight', 1, WIDTH),
      maskDownscaling: [
        await convolution(`${mask}.0`, 4, 4, 1, 2, 2),
        await norm(`${mask}.1`, 4, 1e-6),
        await convolution(`${mask}.3`, 16, 16, 4, 2, 2),
        await norm(`${mask}.4`, 16, 1e-6),
        await convolution(`${mask}.6`, WIDTH, WIDTH, 16, 1, 1),
      ],
    },
    outputTokens: { dims: [1, 5, WIDTH], data: Float32Array.from([...iouToken.data, ...maskTokens.data]) },
    layers: [await layer(`${transformer}.layers.0`), await layer(`${transformer}.layers.1`)],
    finalAttention: await attention(`${transformer}.final_attn_token_to_image`, WIDTH / 2),
    finalNorm: await norm(`${transformer}.norm_final_attn`, WIDTH),
    upscaling: [
      await convolution('mask_decoder.output_upscaling.0', 64, WIDTH, 64, 2, 2),
      await norm('mask_decoder.output_upscaling.1', 64, 1e-6),
      await convolution('mask_decoder.output_upscaling.3', 32, 64, 32, 2, 2),
    ],
    hypernetworks,
    iouHead: await perceptron('mask_decoder.iou_prediction_head', 4),
  };
}
