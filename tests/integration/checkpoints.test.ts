import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { PUBLISHED } from '../../src/checkpoints/published.js';
import { packagesFolder, torchPython, withPython } from '../support/python.js';
import { TorchComparison, torchPackages } from '../support/torch-comparison.js';

/** Largest difference, relative to the largest value. */
const LIMIT = 1e-4;
/** Images of 320 pixels, so that windows stick out of the grid; `MICRO_SAM_TORCH_SIDE=1024` for the size in practice. */
const SIDE = Number(process.env.MICRO_SAM_TORCH_SIDE ?? 320);
/** Depths are cut; `MICRO_SAM_TORCH_MODELS=vit_b,vit_l,vit_h` are the whole ones. */
const ENCODERS = process.env.MICRO_SAM_TORCH_MODELS?.split(',') ?? ['vit_t', 'vit_b-2', 'vit_l-2', 'vit_h-2'];
/** ViT-B with LoRA, in the file of a training. */
const LORA = 'vit_b-2-lora';

/** Needs a python3 with PyTorch (Debian: python3-torch); without one these are skipped. */
describe('checkpoints that PyTorch wrote give what PyTorch computes', function () {
  this.timeout(3_600_000);
  const python = torchPython();
  let torch: TorchComparison;

  before(function () {
    if (python === undefined) return this.skip();
    let packages: string;
    try {
      packages = torchPackages();
    } catch (error) {
      console.log(`      skipped: the networks' packages could not be fetched (${(error as Error).message})`);
      return this.skip();
    }
    const models = [...ENCODERS, LORA, 'unetr', 'unetr-transposed', 'decoder', 'lite_medsam'];
    torch = TorchComparison.make(python, packages, models, SIDE);
  });

  after(() => torch?.close());

  for (const name of ENCODERS) it(`image encoder ${name}`, async () => isSmall(await torch.encoder(name)));

  it('a training with LoRA, objects of unknown classes and an instance decoder beside the model', async () => {
    isSmall(await torch.encoder(LORA));
    const { decoder } = await torch.checkpoint(LORA);
    assert.ok(decoder?.has('out_conv.weight'));
  });

  it('every tensor of LiteMedSAM, as its authors published it', async () => {
    const { file, tensors } = JSON.parse(readFileSync(path.join(torch.folder, 'lite_medsam.json'), 'utf8'));
    const { sam } = await torch.checkpointAt(file);
    assert.deepEqual([...(sam?.keys() ?? [])].sort(), Object.keys(tensors).sort());
    for (const [name, tensor] of sam ?? []) {
      const { buffer, byteOffset, byteLength } = await tensor.read();
      const digest = createHash('sha256')
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest('hex');
      assert.deepEqual([tensor.shape, digest], tensors[name], name);
    }
  });

  for (const name of ['unetr', 'unetr-transposed'])
    it(`instance decoder ${name}`, async () => isSmall(await torch.unetr(name)));

  for (const form of ['plain', 'masked'] as const)
    it(`prompt encoder and mask decoder, ${form}`, async () => isSmall(await torch.decoder(form)));

  function isSmall(difference: number): void {
    console.log(`      difference ${difference.toPrecision(2)}`);
    assert.ok(difference <= LIMIT, `differs by ${difference} of the largest value`);
  }
});

describe('published checkpoints', function () {
  this.timeout(600_000);

  withPython('are those of micro-sam, with its addresses and hashes', async () => {
    const text = readFileSync(path.join(packagesFolder(['micro-sam==1.8.14']), 'micro_sam', 'util.py'), 'utf8');
    const entries = (value: string) =>
      new Map(
        [...text.matchAll(new RegExp(`"(\\w+)": "(${value}[^"]*)"`, 'g'))].map(([, name, found]) => [name, found]),
      );
    const [hashes, addresses] = [entries('xxh128:'), entries('https:')];
    const ours = PUBLISHED.flatMap(({ name, url, xxh128, decoder }) => [
      [name, url, xxh128],
      ...(decoder ? [[`${name}_decoder`, decoder.url, decoder.xxh128]] : []),
    ]);
    const theirs = [...hashes]
      .filter(([name]) => name !== 'vit_t') // built in
      .map(([name, hash]) => [name, addresses.get(name), hash.slice('xxh128:'.length)]);
    assert.deepEqual(ours.sort(), theirs.sort());
    assert.equal(ours.length, 23);
  });
});
