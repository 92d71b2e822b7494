import type { ByteSource } from '../../src/io/bytes.js';
import { mobileSamState } from './mobile-sam-checkpoint.js';
import { SavedTensor } from './torch-writer.js';

/** Width, blocks, which of them attend globally, and width of a head, as build_sam.py of segment-anything has them. */
const ENCODERS = {
  vit_b: [768, 12, [2, 5, 8, 11], 64],
  vit_l: [1024, 24, [5, 11, 17, 23], 64],
  vit_h: [1280, 32, [7, 15, 23, 31], 80],
} as const;

export type VitType = keyof typeof ENCODERS;

/**
 * A safetensors file of a Segment Anything model at full size whose encoder has noise for weights; its bytes are made as they
 * are read, so that 2.5 GB lie neither in memory nor on the disk. The decoder is MobileSAM's.
 */
export function virtualCheckpoint(type: VitType): ByteSource {
  const small = [...mobileSamState()].filter(
    (entry): entry is [string, SavedTensor] =>
      entry[1] instanceof SavedTensor && !entry[0].startsWith('image_encoder.'),
  );
  const header: Record<string, { dtype: 'F32'; shape: readonly number[]; data_offsets: [number, number] }> = {};
  const parts: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  let end = 0;
  const add = (name: string, shape: readonly number[]) => {
    const at = end;
    end += 4 * shape.reduce((product, n) => product * n, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, end] };
    return at;
  };
  for (const [name, { shape, storage }] of small) parts.push({ at: add(name, shape), bytes: storage });
  const noise = end;
  for (const [name, shape] of encoderShapes(type)) add(`image_encoder.${name}`, shape);

  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = 8 + text.length;
  const head = new Uint8Array(start + noise);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, 8);
  for (const { at, bytes } of parts) head.set(bytes, start + at);
  const weights = new Uint8Array(noiseOf(2 ** 18).buffer);
  return {
    name: `${type}.safetensors`,
    size: start + end,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      const known = head.subarray(offset, offset + length);
      bytes.set(known);
      for (let at = known.length; at < length; ) {
        const from = (offset + at - head.length) % weights.length;
        const some = weights.subarray(from, from + length - at);
        bytes.set(some, at);
        at += some.length;
      }
      return bytes;
    },
  };
}

function noiseOf(length: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 0.04 * (state / 2 ** 32 - 0.5);
  });
}

function encoderShapes(type: VitType): [name: string, shape: number[]][] {
  const [width, blocks, global, head] = ENCODERS[type];
  const linear = (name: string, inputs: number, outputs: number): [string, number[]][] => [
    [`${name}.weight`, [outputs, inputs]],
    [`${name}.bias`, [outputs]],
  ];
  const norm = (name: string, size: number): [string, number[]][] => [
    [`${name}.weight`, [size]],
    [`${name}.bias`, [size]],
  ];
  const block = (i: number): [string, number[]][] => {
    const side = (global as readonly number[]).includes(i) ? 64 : 14;
    const name = `blocks.${i}`;
    return [
      ...norm(`${name}.norm1`, width),
      ...['h', 'w'].map((axis): [string, number[]] => [`${name}.attn.rel_pos_${axis}`, [2 * side - 1, head]]),
      ...linear(`${name}.attn.qkv`, width, 3 * width),
      ...linear(`${name}.attn.proj`, width, width),
      ...norm(`${name}.norm2`, width),
      ...linear(`${name}.mlp.lin1`, width, 4 * width),
      ...linear(`${name}.mlp.lin2`, 4 * width, width),
    ];
  };
  return [
    ['pos_embed', [1, 64, 64, width]],
    ['patch_embed.proj.weight', [width, 3, 16, 16]],
    ['patch_embed.proj.bias', [width]],
    ...Array.from({ length: blocks }, (_, i) => block(i)).flat(),
    ['neck.0.weight', [256, width, 1, 1]],
    ...norm('neck.1', 256),
    ['neck.2.weight', [256, 256, 3, 3]],
    ...norm('neck.3', 256),
  ];
}
