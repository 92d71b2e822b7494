import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runBatch } from '../../src/cli/batch/batch.js';
import type { Input } from '../../src/cli/batch/input.js';
import { listInputs } from '../../src/cli/batch/inputs.js';
import { pairInputs } from '../../src/cli/batch/pairs.js';
import { ProgressLine } from '../../src/cli/batch/progress-line.js';
import { resultItems } from '../../src/cli/batch/result-items.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { stemOf } from '../../src/io/folder/file-names.js';
import { readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { factsForExport } from '../../src/io/results/measured-image.js';
import { encodeLabelPng } from '../../src/io/results/png-writer.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { randomInteger, seededRandom } from './random.js';

/**
 * Folders as people have them, made at random: images whose every pixel is their number, under names that are easily
 * taken for each other, among hidden files, thumbnails, by-products and results; and whether every image keeps its own
 * result and its own labels through batch, second batch, evaluation and pairing.
 */
export interface TreeReport {
  readonly images: number;
  /** Wrong pairs, lost or doubled results, in words. */
  readonly faults: readonly string[];
}

export async function checkRandomTree(seed: number): Promise<TreeReport> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-tree-'));
  try {
    return await new RandomTree(root, seed).check();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const WORDS = [
  'cells',
  'Cells',
  'cells_2',
  'cells 10',
  't',
  'img',
  'x[1]',
  'a.b',
  'zellen-ä',
  '{w}',
  '50%',
  'A01_s1',
  '1',
  'same',
  'segA',
  'raw',
];
const FOLDERS = ['a', 'b', 'plate [1]', 'day 2', 'x.y', 'a_b'];
const EXTENSIONS = ['.tif', '.png', '.ome.tif', '.TIF', '.npy', '.tiff'];
const SUFFIXES = ['_labels', '_masks', '_seg', '-gt', '.labels', '_cp_masks', '_segmentation', ''];
const PREFIXES = ['mask_', 'labels_', 'gt-'];

class RandomTree {
  private readonly random: () => number;
  private readonly faults: string[] = [];
  /** Relative path below `in` → its number. */
  private readonly images = new Map<string, number>();

  constructor(
    private readonly root: string,
    seed: number,
  ) {
    this.random = seededRandom(seed);
  }

  private at(...names: string[]): string {
    return path.join(this.root, ...names);
  }

  private pick<T>(list: readonly T[]): T {
    return list[randomInteger(this.random, 0, list.length)];
  }

  private chance(share: number): boolean {
    return this.random() < share;
  }

  async check(): Promise<TreeReport> {
    await this.makeImages();
    const output = this.pick([this.at('out'), this.at('in', 'out'), this.at('in')]);
    this.makeDistractors(output !== this.at('in'));
    const given = this.given();
    const inputs = await this.list(given, output);
    const found = inputs.map(({ file }) => path.relative(this.at('in'), file));
    this.expect('the inputs', found.sort(), [...this.images.keys()].sort());
    await this.segment(inputs, output, 'done');
    const before = this.timesOf(output);
    await this.checkResults(inputs, output);
    await this.segment(await this.list(given, output), output, 'skipped');
    this.expect('the files after a second run', this.timesOf(output), before);
    await this.checkPart(given, output);
    await this.checkPairs(inputs, output);
    await this.checkEvaluation(output);
    await this.checkLabels(inputs);
    return { images: this.images.size, faults: this.faults };
  }

  private async makeImages(): Promise<void> {
    const folders = ['', ...Array.from({ length: randomInteger(this.random, 0, 4) }, () => this.folder())];
    const count = randomInteger(this.random, 2, 9);
    while (this.images.size < count) {
      const number = this.chance(0.5) ? String(randomInteger(this.random, 1, 12)) : '';
      const name = `${this.pick(folders)}${this.pick(WORDS)}${number}${this.pick(EXTENSIONS)}`;
      if (this.images.has(name)) continue;
      this.images.set(name, this.images.size + 1);
      await writeNumber(this.at('in', name), this.images.size);
    }
  }

  private folder(): string {
    return `${this.pick(FOLDERS)}/${this.chance(0.3) ? `${this.pick(FOLDERS)}/` : ''}`;
  }

  /** @param unclear also what only another output folder allows: results of which nobody knows whose they are */
  private makeDistractors(unclear: boolean): void {
    for (const name of this.images.keys()) {
      const folder = path.posix.dirname(name);
      const stem = stemOf(name);
      const beside = (other: string) => {
        const file = path.posix.join(folder, other);
        if (!this.images.has(file) && this.chance(0.15)) writeFileSync(this.at('in', file), 'no image');
      };
      for (const other of [`._${path.posix.basename(name)}`, '.DS_Store', 'Thumbs.db', 'notes.txt', `${stem}.xml`])
        beside(other);
      for (const other of [`${stem}_thumb.png`, 'thumb.jpg', `${stem}_flows.tif`]) beside(other);
      if (unclear) for (const other of [`${stem}_seg.npy`, `${stem}_labels.tif`]) beside(other);
    }
  }

  /** The tree as a command line names it: by a pattern, in one or in several parts, or file by file. */
  private given(): string[] {
    const tops = [...new Set([...this.images.keys()].map((name) => name.split('/').slice(0, -1)[0]))];
    if (this.chance(0.2)) return [...this.images.keys()].map((name) => this.at('in', name));
    if (this.chance(0.3) && tops.every((top) => top !== undefined))
      return tops.map((top) => path.join(this.at('in', top), '**', '*'));
    return [path.join(this.at('in'), '**', '*')];
  }

  private async list(given: readonly string[], output: string): Promise<Input[]> {
    return listInputs(given, { output });
  }

  private async segment(inputs: readonly Input[], output: string, expected: 'done' | 'skipped'): Promise<void> {
    const batch = { folder: output, formats: ['tiff'] as const, command: 'test' };
    const items = resultItems(inputs, batch, async ({ input }, write) => {
      const source = await openFile(input.file);
      const { data, shape } = await readPlane(source, 0);
      await write({ ...factsForExport(source), name: source.name, labels: { data: Uint32Array.from(data), shape } });
      await source.close();
      return 'done';
    });
    const rows = await runBatch(items, { progress: new ProgressLine({ write: () => undefined }) });
    for (const { name, status, detail } of rows)
      if (status !== expected) this.faults.push(`${name} is ${status} (${detail}), not ${expected}`);
  }

  private async checkResults(inputs: readonly Input[], output: string): Promise<void> {
    const numbers: number[] = [];
    for (const name of readdirSync(output).filter(
      (each) => /_labels\.tif$/.test(each) && statSync(path.join(output, each)).size > 20,
    ))
      numbers.push(await numberOf(path.join(output, name)));
    this.expect(
      'the numbers in the results',
      numbers.sort((a, b) => a - b),
      [...this.images.values()],
    );
    if (inputs.length !== numbers.length) this.faults.push(`${numbers.length} results of ${inputs.length} images`);
  }

  /** One part of the images again, as another command line names it: nothing new appears. */
  private async checkPart(given: readonly string[], output: string): Promise<void> {
    const before = this.timesOf(output);
    const part = (await this.list(given, output)).filter(() => this.chance(0.5)).map(({ file }) => file);
    if (part.length === 0) return;
    await this.segment(await this.list(part, output), output, 'skipped');
    this.expect('the files after a run over a part', this.timesOf(output), before);
  }

  /** Images and what was made of them. */
  private async checkPairs(inputs: readonly Input[], output: string): Promise<void> {
    const labels = await listInputs([output], { role: 'labels' });
    await this.comparePairs(
      'results',
      inputs,
      labels.filter(({ file }) => statSync(file).size > 20),
      inputs.length,
    );
  }

  private async checkEvaluation(output: string): Promise<void> {
    const rows = await jsonOf(() => evaluate.run(['--labels', output, '--predictions', output, '--json']));
    const scored = (rows as { rows: { image: string; scores: { msa: number } }[] }).rows;
    if (scored.length < this.images.size) this.faults.push(`${scored.length} rows of evaluate`);
    for (const { image, scores } of scored)
      if (scores.msa !== 1) this.faults.push(`${image} against itself: ${scores.msa}`);
  }

  /** Labels that people made, under the names that they give: all in one way, some missing, some of other images. */
  private async checkLabels(inputs: readonly Input[]): Promise<void> {
    const suffix = this.chance(0.8) ? this.pick(SUFFIXES) : undefined;
    const prefix = suffix === undefined ? this.pick(PREFIXES) : '';
    const flat =
      new Set(inputs.map(({ name }) => stemOf(name).toLowerCase())).size === inputs.length && this.chance(0.5);
    const labelOf = (name: string) => {
      const label = `${prefix}${stemOf(name)}${suffix ?? ''}.tif`;
      return flat ? label : path.posix.join(path.posix.dirname(name), label);
    };
    const unique = new Map(inputs.map((input) => [labelOf(input.name).toLowerCase(), input]));
    let made = 0;
    for (const [, input] of unique) {
      if (inputs.filter(({ name }) => labelOf(name).toLowerCase() === labelOf(input.name).toLowerCase()).length > 1)
        continue;
      if (this.chance(0.2)) continue;
      await writeNumber(this.at('labels', labelOf(input.name)), await numberOf(input.file));
      made++;
    }
    if (this.chance(0.3)) await writeNumber(this.at('labels', `${prefix}other image${suffix ?? ''}.tif`), 99);
    if (made === 0) return;
    const labels = await listInputs([path.join(this.at('labels'), '**', '*.tif')], { role: 'labels' });
    await this.comparePairs(`labels ${prefix}*${suffix ?? ''}`, inputs, labels, made);
  }

  private async comparePairs(
    what: string,
    images: readonly Input[],
    labels: readonly Input[],
    expected: number,
  ): Promise<void> {
    const pairs = pairInputs(images, labels, { ones: 'images', others: 'label images', ignoreUnpaired: true });
    for (const [image, label] of pairs)
      if ((await numberOf(image.file)) !== (await numberOf(label.file)))
        this.faults.push(`${what}: ${image.name} meets ${label.name}`);
    if (pairs.length !== expected) {
      const alone = images.filter((image) => !pairs.some(([one]) => one === image)).map(({ name }) => name);
      this.faults.push(
        `${what}: ${pairs.length} pairs of ${expected}; without: ${alone.join(', ')} among ${labels.map(({ name }) => name).join(', ')}`,
      );
    }
  }

  private timesOf(folder: string): string[] {
    const times = (below: string): string[] =>
      readdirSync(path.join(folder, below), { withFileTypes: true }).flatMap((entry) => {
        const name = path.join(below, entry.name);
        return entry.isDirectory() ? times(name) : [`${name} ${statSync(path.join(folder, name)).mtimeMs}`];
      });
    return existsSync(folder) ? times('').sort() : [];
  }

  private expect(what: string, got: readonly unknown[], expected: readonly unknown[]): void {
    if (JSON.stringify(got) !== JSON.stringify(expected))
      this.faults.push(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
  }
}

async function writeNumber(file: string, number: number): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true });
  const pixels = { data: new Uint8Array(20).fill(number), shape: [4, 5] };
  if (/\.png$/i.test(file)) writeFileSync(file, encodeLabelPng({ ...pixels, data: Uint32Array.from(pixels.data) }));
  else if (/\.npy$/i.test(file)) writeFileSync(file, npy(pixels.data));
  else writeFileSync(file, await encodeTiff(pixels));
}

function npy(data: Uint8Array): Uint8Array {
  const header = `${"{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5), }".padEnd(117)}\n`;
  return Uint8Array.from([
    0x93,
    ...new TextEncoder().encode('NUMPY'),
    1,
    0,
    header.length,
    0,
    ...new TextEncoder().encode(header),
    ...data,
  ]);
}

async function numberOf(file: string): Promise<number> {
  const source = await openFile(file);
  try {
    return (await readPlane(source, 0)).data[0];
  } finally {
    await source.close();
  }
}

/** What a command prints, as JSON. */
async function jsonOf(run: () => Promise<number>): Promise<unknown> {
  const { log } = console;
  const { write } = process.stderr;
  let text = '';
  console.log = (line: string) => {
    text += line;
  };
  process.stderr.write = () => true;
  try {
    await run();
  } finally {
    console.log = log;
    process.stderr.write = write;
  }
  return JSON.parse(text);
}
