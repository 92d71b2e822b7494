import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { openCheckpoint } from '../../src/checkpoints/checkpoint.js';
import type { Tensors } from '../../src/checkpoints/tensor.js';
import { memoryBytes } from '../../src/io/bytes.js';
import { toHalf } from '../../src/ndimage/half.js';
import { writeSafetensors } from '../../src/training/safetensors.js';
import { zip } from '../support/bombs.js';
import { floatTensor, type Saved, SavedObject, SavedTensor, torchLegacy, torchZip } from '../support/torch-writer.js';

const count = (from: number, length: number) => Float32Array.from({ length }, (_, i) => from + i / 4);
const bytes = (data: Float32Array | Uint16Array | Float64Array) => new Uint8Array(data.buffer);

/** What makes a state dict one of Segment Anything, and of an instance decoder. */
const SAM: [string, Saved][] = [['prompt_encoder.no_mask_embed.weight', floatTensor([1, 4], count(0, 4))]];
const DECODER: [string, Saved][] = [
  ['out_conv.weight', floatTensor([1, 2, 1, 1], count(3, 2))],
  ['base.block.1.weight', floatTensor([2, 1, 1, 1], count(5, 2))],
];

const open = (file: Uint8Array) => openCheckpoint(memoryBytes(file, 'model.pt'));
const read = async (tensors: Tensors | undefined, name: string) => Array.from((await tensors?.get(name)?.read()) ?? []);
const prefixed = (prefix: string, entries: readonly [string, Saved][]) =>
  new Map(entries.map(([name, value]): [string, Saved] => [prefix + name, value]));

describe('a checkpoint of PyTorch', () => {
  for (const [form, write] of [
    ['a zip', torchZip],
    ['the old form', torchLegacy],
  ] as const) {
    it(`in ${form} gives tensors of all types`, async () => {
      const values = count(-1, 6);
      const bfloat = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
      const state = new Map<string, Saved>([
        ...SAM,
        ['float', floatTensor([2, 3], values)],
        ['half', new SavedTensor([6], bytes(toHalf(values)), 'Half')],
        ['bfloat', new SavedTensor([6], bytes(bfloat), 'BFloat16')],
        ['double', new SavedTensor([3, 2], bytes(Float64Array.from(values)), 'Double')],
        ['scalar', new SavedTensor([], new Uint8Array(BigInt64Array.of(7n).buffer), 'Long')],
      ]);
      const { sam } = await open(write(state));
      for (const name of ['float', 'half', 'bfloat', 'double'])
        assert.deepEqual(await read(sam, name), [...values], name);
      assert.deepEqual(await read(sam, 'scalar'), [7]);
      assert.deepEqual(sam?.get('double')?.shape, [3, 2]);
    });

    it(`in ${form} gives views: parts, transposed, expanded, of one storage`, async () => {
      const storage = bytes(Float32Array.from({ length: 12 }, (_, i) => i));
      const view = (shape: number[], offset: number, strides: number[]) =>
        new SavedTensor(shape, storage, 'Float', offset, strides);
      const state = new Map<string, Saved>([
        ...SAM,
        ['whole', view([3, 4], 0, [4, 1])],
        ['transposed', view([4, 3], 0, [1, 4])],
        ['column', view([3], 2, [4])],
        ['rows', view([2, 4], 4, [4, 1])],
        ['expanded', view([2, 3], 5, [0, 1])],
        ['empty', view([0, 3], 0, [3, 1])],
      ]);
      const { sam } = await open(write(state));
      assert.deepEqual(await read(sam, 'whole'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      assert.deepEqual(await read(sam, 'transposed'), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
      assert.deepEqual(await read(sam, 'column'), [2, 6, 10]);
      assert.deepEqual(await read(sam, 'rows'), [4, 5, 6, 7, 8, 9, 10, 11]);
      assert.deepEqual(await read(sam, 'expanded'), [5, 6, 7, 5, 6, 7]);
      assert.deepEqual(await read(sam, 'empty'), []);
    });
  }

  it('of a training has its model, its instance decoder and objects of unknown classes', async () => {
    const evil = new SavedObject('os', 'system', ['touch /tmp/never']);
    const state = new Map<string, Saved>([
      ['epoch', 3],
      ['init', new SavedObject('torch_em.trainer', 'Serializer', [], new Map([['loss', evil]]))],
      ['model_state', prefixed('sam.', SAM)],
      ['decoder_state', new Map(DECODER)],
    ]);
    const { sam, decoder } = await open(torchZip(state));
    assert.deepEqual(await read(sam, 'prompt_encoder.no_mask_embed.weight'), [0, 0.25, 0.5, 0.75]);
    assert.deepEqual(await read(decoder, 'out_conv.weight'), [3, 3.25]);
  });

  it('may be a decoder alone, wrapped by other trainers, or a whole module', async () => {
    assert.deepEqual(Object.keys(await open(torchZip(new Map(DECODER)))), ['decoder']);
    for (const wrapped of [
      new Map<string, Saved>([['state_dict', prefixed('module.', SAM)]]),
      new Map<string, Saved>([['model', prefixed('_orig_mod.', SAM)]]),
    ])
      assert.equal((await open(torchZip(wrapped))).sam?.has('prompt_encoder.no_mask_embed.weight'), true);
    const leaf = new SavedObject(
      'torch.nn',
      'Embedding',
      [],
      new Map([['_parameters', new Map([['weight', SAM[0][1]]])]]),
    );
    const inner = new SavedObject('x', 'PromptEncoder', [], moduleState({ no_mask_embed: leaf }));
    const whole = new SavedObject('x', 'Sam', [], moduleState({ prompt_encoder: inner }));
    assert.deepEqual(await read((await open(torchZip(whole))).sam, SAM[0][0]), [0, 0.25, 0.5, 0.75]);

    function moduleState(modules: Record<string, Saved>): Saved {
      return new Map<string, Saved>([
        ['_parameters', new Map()],
        ['_modules', new Map(Object.entries(modules))],
      ]);
    }
  });

  it('with LoRA has the products added to its weights', async () => {
    const base = 'image_encoder.blocks.0.attn.qkv.';
    const state = new Map<string, Saved>([
      ...SAM,
      [`${base}qkv_proj.weight`, floatTensor([6, 2], count(0, 12))],
      [`${base}qkv_proj.bias`, floatTensor([6], count(9, 6))],
      [`${base}w_a_linear_q.weight`, floatTensor([1, 2], Float32Array.of(1, 2))],
      [`${base}w_b_linear_q.weight`, floatTensor([2, 1], Float32Array.of(10, 20))],
      [`${base}w_a_linear_v.weight`, floatTensor([1, 2], Float32Array.of(1, 0))],
      [`${base}w_b_linear_v.weight`, floatTensor([2, 1], Float32Array.of(100, 0))],
      ['image_encoder.blocks.0.mlp.mlp_layer.lin2.weight', floatTensor([1, 2], Float32Array.of(1, 1))],
      ['image_encoder.blocks.0.mlp.w_a_linear_2.weight', floatTensor([2, 2], Float32Array.of(1, 0, 0, 1))],
      ['image_encoder.blocks.0.mlp.w_b_linear_2.weight', floatTensor([1, 2], Float32Array.of(3, 4))],
    ]);
    const { sam } = await open(torchZip(state));
    const folded = [10, 20.25, 20.5, 40.75, 1, 1.25, 1.5, 1.75, 102, 2.25, 2.5, 2.75];
    assert.deepEqual(await read(sam, 'image_encoder.blocks.0.attn.qkv.weight'), folded);
    assert.deepEqual(await read(sam, 'image_encoder.blocks.0.attn.qkv.bias'), [...count(9, 6)]);
    assert.deepEqual(await read(sam, 'image_encoder.blocks.0.mlp.lin2.weight'), [4, 5]);
    assert.equal(
      [...(sam?.keys() ?? [])].some((name) => /w_[ab]_|_proj\.w|mlp_layer/.test(name)),
      false,
    );
  });

  it('with LoRA of another network is refused, not filled with what lies past its end', async () => {
    const base = 'image_encoder.blocks.0.mlp.';
    const state = new Map<string, Saved>([
      ...SAM,
      [`${base}mlp_layer.lin2.weight`, floatTensor([1, 2], Float32Array.of(1, 1))],
      [`${base}w_a_linear_2.weight`, floatTensor([2, 2], Float32Array.of(1, 0, 0, 1))],
      [`${base}w_b_linear_2.weight`, floatTensor([1, 1], Float32Array.of(3))],
    ]);
    const { sam } = await open(torchZip(state));
    await assert.rejects(read(sam, 'image_encoder.blocks.0.mlp.lin2.weight'), {
      code: 'model_unavailable',
      message: /does not fit/,
    });
  });
});

describe('other files of weights', () => {
  it('are safetensors', async () => {
    const tensors = new Map([['prompt_encoder.no_mask_embed.weight', { shape: [1, 4], data: count(2, 4) }]]);
    const { sam } = await open(writeSafetensors({ tensors, metadata: {} }));
    assert.deepEqual(await read(sam, 'prompt_encoder.no_mask_embed.weight'), [2, 2.25, 2.5, 2.75]);
  });

  for (const [how, level] of [
    ['stored', 0],
    ['packed', 6],
  ] as const)
    it(`are packages of bioimage.io, with the weights ${how}`, async () => {
      const card = new TextEncoder().encode('format_version: 0.5.3\nname: "SAM LM Generalist"\ntype: model\n');
      const [weights, decoder] = [torchZip(new Map(SAM)), torchZip(new Map(DECODER))];
      const file = zipSync({ 'rdf.yaml': card, 'vit_b.pt': weights, 'vit_b_decoder.pt': decoder }, { level });
      const { sam, decoder: instances, title } = await open(file);
      assert.equal(title, 'SAM LM Generalist');
      assert.deepEqual(await read(sam, 'prompt_encoder.no_mask_embed.weight'), [0, 0.25, 0.5, 0.75]);
      assert.deepEqual(await read(instances, 'base.block.1.weight'), [5, 5.25]);
    });
});

describe('what is not a checkpoint, or a damaged one,', () => {
  for (const [what, file, message] of [
    ['an empty file', new Uint8Array(), /0 bytes/],
    ['a web page', new TextEncoder().encode('<!doctype html><html>'), /web page/],
    ['text', new TextEncoder().encode('no weights here at all'), /no file of PyTorch/],
    ['a zip of something', zipSync({ 'a.txt': new Uint8Array(3) }), /neither a file of PyTorch/],
    [
      'another network',
      torchZip(new Map([['fc.weight', floatTensor([1], count(0, 1))]])),
      /neither a model of Segment/,
    ],
    [
      'a tensor beyond its storage',
      torchZip(new Map([...SAM, ['x', new SavedTensor([100, 100], new Uint8Array(16))]])),
      /'x' of shape \[100, 100\] does not fit/,
    ],
    [
      'a huge expanded tensor',
      torchZip(new Map([...SAM, ['x', new SavedTensor([2 ** 28], new Uint8Array(4), 'Float', 0, [0])]])),
      /does not fit/,
    ],
  ] as const)
    it(`is told: ${what}`, async () => {
      await assert.rejects(open(file), { name: 'SamError', code: 'model_unavailable', message });
    });

  for (const [what, code] of [
    ['lists', 0x5d],
    ['dictionaries (thorough)', 0x7d],
  ] as const)
    it(`is told when a few kilobytes stand for millions of ${what}`, async () => {
      const pickle = new Uint8Array(2 ** 20 + 100).fill(code, 2);
      pickle.set([0x80, 2]);
      pickle[pickle.length - 1] = 0x2e;
      const file = zipSync({ 'a/data.pkl': pickle }, { level: 6 });
      assert.ok(file.length < 10_000);
      await assert.rejects(open(file), { code: 'unsupported', message: /more than 1048576 pickled objects/ });
    });

  it('is told when what is packed is no weights: bombs, also many that lie in one place', async () => {
    const card = new TextEncoder().encode('name: m\n');
    const zeros = new Uint8Array(2 ** 26 + 4);
    const bomb = zip([
      ['w.pt', deflateRawSync(zeros, { level: 1 }), zeros.length],
      ['rdf.yaml', deflateRawSync(card), card.length],
    ]);
    const many = Array.from({ length: 50 }, (_, k): [string, Saved] => [
      `w${k}`,
      new SavedTensor([2], new Uint8Array(8)),
    ]);
    // The tensors' storages are all the same megabytes of zeros.
    const file = torchZip(new Map<string, Saved>([...SAM, ...many]));
    await assert.rejects(open(withMemberOf(file, bomb)), {
      code: 'model_unavailable',
      message: /unpacks from \d+ to 67108868 bytes, which weights do not/,
    });
    await assert.rejects(open(bomb), {
      code: 'model_unavailable',
      message: /w\.pt unpacks from/,
    });
  });

  it('is told when its dictionaries hold themselves many times over', async () => {
    // {0: d, …, 9: d} sixteen deep, by memo: 10^16 paths in a few hundred bytes.
    const levels = Array.from({ length: 16 }, (_, level) => {
      const entries = Array.from({ length: 10 }, (_, key) => [0x58, 1, 0, 0, 0, 0x30 + key, 0x68, level]).flat();
      return [0x7d, 0x71, level + 1, 0x28, ...entries, 0x75, 0x30];
    });
    const pickle = Uint8Array.from([0x80, 2, 0x7d, 0x71, 0, 0x30, ...levels.flat(), 0x68, 16, 0x2e]);
    await assert.rejects(open(zipSync({ 'a/data.pkl': pickle })), { code: 'model_unavailable', message: /entries/ });
  });
});

/** The zip with the members of another zip behind it, to the first of which the entries of all its storages point. */
function withMemberOf(file: Uint8Array, other: Uint8Array): Uint8Array {
  const directoryOf = (zip: Uint8Array) => {
    const end = new DataView(zip.buffer, zip.byteOffset + zip.length - 22);
    return { at: end.getUint32(16, true), size: end.getUint32(12, true) };
  };
  const [own, theirs] = [directoryOf(file), directoryOf(other)];
  const member = other.subarray(0, theirs.at);
  const entry = other.subarray(theirs.at, theirs.at + theirs.size);
  const out = new Uint8Array(file.length + member.length);
  out.set(file.subarray(0, own.at));
  out.set(member, own.at);
  out.set(file.subarray(own.at), own.at + member.length);
  const view = new DataView(out.buffer);
  for (let at = own.at + member.length; view.getUint32(at, true) === 0x02014b50; ) {
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const name = new TextDecoder().decode(out.subarray(at + 46, at + 46 + nameLength));
    if (/\/data\/\d+$/.test(name)) {
      out.set(entry.subarray(10, 12), at + 10); // method
      out.set(entry.subarray(20, 28), at + 20); // sizes
      view.setUint32(at + 42, own.at, true);
    }
    at += 46 + nameLength + extra + comment;
  }
  view.setUint32(out.length - 22 + 16, own.at + member.length, true);
  return out;
}
