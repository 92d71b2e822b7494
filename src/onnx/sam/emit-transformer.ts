import type { GraphBuilder } from '../builder.js';
import {
  type Attention,
  CROSS_WIDTH,
  HEADS,
  type Linear,
  type Norm,
  PIXELS,
  type SamDecoderWeights,
  WIDTH,
} from './weights.js';

/**
 * The two-way transformer between T tokens and 4096 pixels. Each attention between the two comes in two forms:
 *
 * - projected: as in the paper, with keys, values and queries of the pixels computed (or given);
 * - absorbed: softmax(q Wkᵀ xᵀ) x Wv = softmax((q Wkᵀ) xᵀ) (x Wv): the projections are applied to the tokens, 8 heads x T
 *   rows instead of 4096. What is added to all pixels alike (the bias of the keys) drops out of the softmax.
 */
export interface ImageSide {
  /** [1 or B, 4096, 256]. */
  readonly keys: string;
  /** For the first layer, where they do not depend on the prompt; then the other layers take the projected form, too. */
  readonly projected?: Projected;
}

export interface Projected {
  /** Token-to-image keys [1, 8, 16, 4096] and values [1, 8, 4096, 16]; image-to-token queries [1, 4096, 128]. */
  readonly k: string;
  readonly v: string;
  readonly q: string;
}

const DIM = CROSS_WIDTH / HEADS;

/** → the output tokens [B, 5, 256] and pixels [B, 4096, 256] after both layers and the final attention. */
export function emitTransformer(
  g: GraphBuilder,
  weights: SamDecoderWeights,
  tokens: string,
  image: ImageSide,
  positions: string,
): { queries: string; keys: string } {
  let queries = tokens;
  let { keys } = image;
  const project = image.projected !== undefined;
  let keysAt = project ? '' : g.add(keys, positions);
  weights.layers.forEach((layer, i) => {
    const name = `layer${i}`;
    const given = i === 0 ? image.projected : undefined;
    const norm = (x: string, n: number) => emitNorm(g, x, `${name}.norm${n + 1}`, layer.norms[n]);

    const at = i === 0 ? queries : g.add(queries, tokens);
    const self = emitSelfAttention(g, at, queries, `${name}.self`, layer.selfAttention);
    queries = norm(i === 0 ? self : g.add(queries, self), 0);

    queries = norm(g.add(queries, tokenToImage(layer.tokenToImage, `${name}.t2i`, given)), 1);

    const hidden = g.node('Relu', [emitLinear(g, queries, `${name}.mlp1`, layer.mlp[0])]);
    queries = norm(g.add(queries, emitLinear(g, hidden, `${name}.mlp2`, layer.mlp[1])), 2);

    const from = { at: g.add(queries, tokens), values: queries, keysAt };
    const pixels = emitImageToToken(g, from, `${name}.i2t`, layer.imageToToken, { project, q: given?.q });
    // `Sum`, as `Add` would be fused into a slower operator.
    const sum = g.node('Sum', [keys, pixels]);
    const { weight, bias, epsilon } = layer.norms[3];
    keys = g.centredNorm(
      g.centre(sum),
      g.weight(`${name}.norm4.weight`, weight),
      g.weight(`${name}.norm4.bias`, bias),
      epsilon,
    );
    keysAt = g.add(keys, positions);
  });
  // Only the output tokens are read from here on.
  queries = g.slice(queries, 0, 5);
  tokens = g.slice(tokens, 0, 5);
  const last = tokenToImage(weights.finalAttention, 'final');
  queries = emitNorm(g, g.add(queries, last), 'final.norm', weights.finalNorm);
  return { queries, keys };

  function tokenToImage(attention: Attention, name: string, given?: Projected): string {
    const q = emitLinear(g, g.add(queries, tokens), `${name}.q`, attention.q);
    if (given) return emitProjectedTokens(g, q, given.k, given.v, name, attention);
    if (!project) return emitAbsorbedTokens(g, q, keysAt, keys, name, attention);
    const heads = (x: string, ...perm: number[]) => g.transpose(g.reshape(x, -1, PIXELS, HEADS, DIM), ...perm);
    const k = heads(emitLinear(g, keysAt, `${name}.k`, attention.k), 0, 2, 3, 1);
    const v = heads(emitLinear(g, keys, `${name}.v`, attention.v), 0, 2, 1, 3);
    return emitProjectedTokens(g, q, k, v, name, attention);
  }
}

export function emitLinear(g: GraphBuilder, x: string, name: string, { weight, bias }: Linear): string {
  return g.add(g.matMul(x, g.weight(`${name}.weight`, weight)), g.weight(`${name}.bias`, bias));
}

export function emitNorm(g: GraphBuilder, x: string, name: string, { weight, bias, epsilon }: Norm): string {
  return g.layerNorm(x, g.weight(`${name}.weight`, weight), g.weight(`${name}.bias`, bias), epsilon);
}

/** [B, T, C] → [B, 8, T, C / 8]. */
export function splitHeads(g: GraphBuilder, x: string, width: number): string {
  return g.transpose(g.reshape(x, 0, -1, HEADS, width / HEADS), 0, 2, 1, 3);
}

export function scaled(g: GraphBuilder, x: string, width: number): string {
  return g.mul(x, g.scalar(1 / Math.sqrt(width / HEADS)));
}

export function emitSelfAttention(
  g: GraphBuilder,
  at: string,
  values: string,
  name: string,
  attention: Attention,
): string {
  const q = splitHeads(g, scaled(g, emitLinear(g, at, `${name}.q`, attention.q), WIDTH), WIDTH);
  const k = splitHeads(g, emitLinear(g, at, `${name}.k`, attention.k), WIDTH);
  const v = splitHeads(g, emitLinear(g, values, `${name}.v`, attention.v), WIDTH);
  const mixed = g.matMul(g.softmax(g.matMul(q, g.transpose(k, 0, 1, 3, 2))), v);
  return emitLinear(g, g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, -1, WIDTH), `${name}.out`, attention.out);
}

/** `q` [B, T, 128], `k` [B, 8, 16, 4096], `v` [B, 8, 4096, 16]. */
export function emitProjectedTokens(
  g: GraphBuilder,
  q: string,
  k: string,
  v: string,
  name: string,
  attention: Attention,
): string {
  const heads = splitHeads(g, scaled(g, q, CROSS_WIDTH), CROSS_WIDTH);
  const mixed = g.matMul(g.softmax(g.matMul(heads, k)), v);
  return emitLinear(g, g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, -1, CROSS_WIDTH), `${name}.out`, attention.out);
}

/** [B, T, 128] → [B, 128, 8 T]: column (h, t) holds head h of token t, scaled, and zeros elsewhere. */
function spreadHeads(g: GraphBuilder, x: string): string {
  const mask = new Float32Array(CROSS_WIDTH * HEADS);
  for (let c = 0; c < CROSS_WIDTH; c++) mask[c * HEADS + Math.floor(c / DIM)] = 1 / Math.sqrt(DIM);
  const columns = g.node('Unsqueeze', [g.transpose(x, 0, 2, 1), g.ints(2)]);
  const spread = g.mul(columns, g.constant('head_mask', [1, CROSS_WIDTH, HEADS, 1], mask));
  return g.node('Reshape', [spread, g.ints(0, CROSS_WIDTH, -1)]);
}

function emitAbsorbedTokens(
  g: GraphBuilder,
  q: string,
  keysAt: string,
  keys: string,
  name: string,
  attention: Attention,
): string {
  const directions = g.matMul(g.weight(`${name}.k.weight`, attention.k.weight), spreadHeads(g, q)); // [B, 256, 8 T]
  // Pixels first and turned afterwards: a product with the large matrix transposed is several times slower.
  const logits = g.transpose(g.matMul(keysAt, directions), 0, 2, 1); // [B, 8 T, 4096]
  const mixed = g.reshape(g.matMul(g.softmax(logits), keys), 0, HEADS, -1, WIDTH);
  const values = g.matMul(mixed, g.constant(`${name}.v.heads`, [1, HEADS, WIDTH, DIM], headColumns(attention.v)));
  const joined = g.reshape(g.transpose(values, 0, 2, 1, 3), 0, -1, CROSS_WIDTH);
  return emitLinear(g, g.add(joined, g.weight(`${name}.v.bias`, attention.v.bias)), `${name}.out`, attention.out);
}

/** [256, 128] → [8, 256, 16]. */
function headColumns({ weight }: Linear): Float32Array {
  const result = new Float32Array(weight.data.length);
  for (let h = 0; h < HEADS; h++)
    for (let c = 0; c < WIDTH; c++)
      for (let d = 0; d < DIM; d++) result[(h * WIDTH + c) * DIM + d] = weight.data[c * CROSS_WIDTH + h * DIM + d];
  return result;
}

/** Attention of every pixel over the tokens. → [B, 4096, 256]; unless `project`, less the mean over channels. */
function emitImageToToken(
  g: GraphBuilder,
  { at, values, keysAt }: { readonly at: string; readonly values: string; readonly keysAt: string },
  name: string,
  attention: Attention,
  { project, q }: { project: boolean; q?: string },
): string {
  const spread = spreadHeads(g, emitLinear(g, at, `${name}.k`, attention.k));
  let logits: string; // [B, 4096, 8 T]
  if (q) logits = g.matMul(q, spread);
  else if (project) logits = g.matMul(emitLinear(g, keysAt, `${name}.q`, attention.q), spread);
  else {
    const directions = g.matMul(g.weight(`${name}.q.weight`, attention.q.weight), spread);
    const bias = g.constant(`${name}.q.bias`, [1, 1, CROSS_WIDTH], attention.q.bias.data);
    logits = g.add(g.matMul(keysAt, directions), g.matMul(bias, spread));
  }
  const attended = g.softmax(g.reshape(logits, 0, PIXELS, HEADS, -1)); // [B, 4096, 8, T]
  const v = splitHeads(g, emitLinear(g, values, `${name}.v`, attention.v), CROSS_WIDTH); // [B, 8, T, 16]
  if (project) {
    const mixed = g.matMul(g.transpose(attended, 0, 2, 1, 3), v); // [B, 8, 4096, 16]
    return emitLinear(
      g,
      g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, PIXELS, CROSS_WIDTH),
      `${name}.out`,
      attention.out,
    );
  }
  // Each head's attention sums to 1, so an eighth of the bias on every row adds up to the bias.
  const out = g.constant(`${name}.out.heads`, [1, HEADS, DIM, WIDTH], attention.out.weight.data);
  const eighth = g.constant(
    `${name}.out.bias8`,
    [WIDTH],
    attention.out.bias.data.map((value) => value / HEADS),
  );
  const rows = g.add(g.reshape(g.matMul(v, out), 0, -1, WIDTH), eighth); // [B, 8 T, 256]
  return g.matMul(g.reshape(attended, 0, PIXELS, -1), g.centre(rows));
}
