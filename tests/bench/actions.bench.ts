import { readFileSync } from 'node:fs';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { overlapsOf } from '../../src/evaluation/matching.js';
import { countsAt } from '../../src/evaluation/segmentation-accuracy.js';
import { openImage } from '../../src/io/open.js';
import { resolveModel } from '../../src/model/registry.js';
import type { LabelImage, YX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea, maskIou, unionMasks } from '../../src/ndimage/mask-sets.js';
import { EMPTY_MASK, masksFromLabels } from '../../src/ndimage/rle.js';
import { Annotator2d } from '../../src/session/annotators/annotator-2d.js';
import type { CommandArguments, CommandId } from '../../src/session/commands/commands.js';
import { paintPlane } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import { dataItems, dataPath, hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { realWorker } from '../support/real-worker.js';
import { middleOf } from '../support/simulated-clicks.js';
import { atLeast, atMost, type Figure } from './figure.js';

/**
 * What an annotator has to do, in actions: a click, a drag and a key are one each. A simulated person knows the right
 * outlines, works through the same commands that mouse and keyboard give, and judges only what is on screen.
 */
export default async function run(): Promise<Figure[]> {
  if (!hasData) return [];
  const worker = await realWorker();
  try {
    return [...(await oneByOne(worker, 'dsb-0532c64c2fd0')), ...(await corrected(worker, 'dsb-4ee5850b6354'))];
  } finally {
    await worker.close();
  }
}

type Worker = Awaited<ReturnType<typeof realWorker>>;

/** A session on an image of the data, and a count of what was done in it. */
class Hand {
  actions = 0;

  private constructor(
    readonly session: AnnotationSession,
    readonly truth: LabelImage,
    readonly objects: readonly Mask[],
  ) {}

  static async open(worker: Worker, id: string): Promise<Hand> {
    const { labels } = await readGroundTruth(id);
    const file = dataItems().find((item) => item.id === id)?.file ?? id;
    const source = await openImage(new Uint8Array(readFileSync(dataPath(file))), { name: id });
    const model = resolveModel();
    await worker.load(model);
    const embeddings = await openEmbeddings({ source, worker, model });
    const session = new AnnotationSession();
    const annotator = new Annotator2d({ worker, model: model.name, embeddings }, { ...model.defaults });
    const [height, width] = labels.shape;
    session.open({ name: id, axes: 'yx', size: [height, width], planes: 1, signature: id }, annotator);
    await session.run('compute_embeddings');
    return new Hand(session, labels, [...masksFromLabels(labels).values()]);
  }

  /** A key or a button. */
  async press<Id extends CommandId>(id: Id, ...args: CommandArguments<Id>): Promise<void> {
    this.actions++;
    await this.session.run(id, ...args);
  }

  click(at: YX, positive = true): Promise<void> {
    const prompt = { kind: 'point', id: this.session.newPromptId(), plane: 0, at, positive } as const;
    return this.press('put_prompts', { prompts: [prompt], byHand: positive ? 'tool' : 'negative' });
  }

  get found(): ReadonlyMap<number, Mask> {
    return masksFromLabels(this.labels());
  }

  private labels(): LabelImage {
    const { layers, image } = this.session.state;
    return paintPlane(layers.committed_objects, 0, image?.size ?? [0, 0]);
  }

  /** The tool's key, if another tool is in hand. */
  async take(tool: 'split' | 'point'): Promise<void> {
    if (this.session.state.settings.tool !== tool) await this.press(`use_${tool}`);
  }

  /** Shift+click. */
  choose(id: number): Promise<void> {
    return this.press('select_objects', { layer: 'committed_objects', ids: [id], how: 'toggle' });
  }

  /** The mask that is being worked on. */
  get current(): Mask {
    const [record] = this.session.state.layers.current_object.objects.values();
    return record?.masks.get(0) ?? EMPTY_MASK;
  }

  /** A box drawn around it, as close as a hand does. */
  box({ box: [y0, x0, y1, x1] }: Mask): Promise<void> {
    const box = [y0 - 1, x0 - 1, y1 + 1, x1 + 1] as const;
    const prompt = { kind: 'box', id: this.session.newPromptId(), plane: 0, box } as const;
    return this.press('put_prompts', { prompts: [prompt], byHand: 'tool' });
  }

  /** The current object is this one, more or less. */
  fits(object: Mask): boolean {
    return maskIou(this.current, object) >= 0.5;
  }

  /** Small, Medium or Large, if one of them fits better. */
  async chooseMask(object: Mask): Promise<void> {
    const { candidates } = this.session.state;
    const index = candidates?.masks.findIndex(({ mask }) => maskIou(mask, object) >= 0.5) ?? -1;
    if (index >= 0) await this.press('choose_candidate', { index });
  }

  right(): number {
    return this.counts().truePositives;
  }

  /** F1 at IoU 0.5, and if the current object is this one, what it will be once that is committed. */
  f1(current?: Mask): number {
    const { truePositives, falsePositives, falseNegatives } = this.counts();
    const more = current && this.fits(current) ? 1 : 0;
    return (2 * (truePositives + more)) / (2 * truePositives + more + falsePositives + falseNegatives);
  }

  private counts() {
    return countsAt(overlapsOf(this.truth, this.labels()), 0.5);
  }
}

/** Every object is clicked once, in its middle, in the mode Auto-commit. */
async function oneByOne(worker: Worker, id: string): Promise<Figure[]> {
  const hand = await Hand.open(worker, id);
  await hand.press('toggle_auto_commit');
  for (const object of hand.objects) await hand.click(middleOf(object));
  await hand.press('commit');
  return [
    atMost('actions_24_nuclei', hand.actions, 'clicks and keys', 26),
    atLeast('actions_24_nuclei_right', hand.right(), 'objects at IoU 0.5', 23),
  ];
}

const ENOUGH = 0.95;
/** So that a bench of a program that cannot do it ends. */
const PATIENCE = 60;

/** What automatic segmentation found is accepted and then corrected until it is right enough: first what is worst. */
async function corrected(worker: Worker, id: string): Promise<Figure[]> {
  const hand = await Hand.open(worker, id);
  await hand.session.run('automatic_segmentation', { confirmed: true });
  await hand.press('accept_all_automatic');
  const before = hand.f1();
  await splitMerged(hand);
  await joinParts(hand);
  await removeExtra(hand);
  await addMissing(hand);
  console.error(`${id}: F1 ${before.toFixed(3)} to ${hand.f1().toFixed(3)} in ${hand.actions} actions`);
  return [
    atMost('actions_correct_49_nuclei', hand.actions, 'clicks and keys', 25),
    atLeast('actions_correct_49_nuclei_f1', hand.f1(), 'F1 at IoU 0.5', ENOUGH),
  ];
}

/** An object that is several: the tool Split, and a click on each of two. */
async function splitMerged(hand: Hand): Promise<void> {
  for (const mask of hand.found.values()) {
    const parts = wrong(hand).filter((object) => inside(object, mask) > 0.5 && object.area > 0.15 * mask.area);
    if (parts.length < 2) continue;
    await hand.take('split');
    for (const part of parts.slice(0, 2)) await hand.press('split_by_hand', { path: [middleOf(part)] });
  }
}

/** Several objects that are one: Shift+click each, and J. */
async function joinParts(hand: Hand): Promise<void> {
  for (const object of wrong(hand)) {
    const parts = [...hand.found].filter(([, mask]) => inside(mask, object) > 0.5);
    const joined = parts.reduce<Mask | undefined>((sum, [, mask]) => (sum ? unionMasks(sum, mask) : mask), undefined);
    if (parts.length < 2 || !joined || maskIou(joined, object) < 0.5) continue;
    for (const [id] of parts) await hand.choose(id);
    await hand.press('merge_objects');
    await hand.press('select_none');
  }
}

/** What is no object: Shift+click each, and Delete. */
async function removeExtra(hand: Hand): Promise<void> {
  const extra = [...hand.found].filter(([, mask]) =>
    hand.objects.every((object) => intersectionArea(mask, object) === 0),
  );
  for (const [id] of extra) await hand.choose(id);
  if (extra.length > 0) await hand.press('delete');
}

/**
 * What was not found, the largest first, in the mode Auto-commit: a click; where another of the offered masks is right, that
 * one; where none is, undo, and boxes from then on.
 */
async function addMissing(hand: Hand): Promise<void> {
  if (hand.f1() >= ENOUGH) return;
  await hand.take('point');
  await hand.press('toggle_auto_commit');
  for (const object of wrong(hand).sort((a, b) => b.area - a.area)) {
    if (hand.session.state.settings.tool === 'point') await hand.click(middleOf(object));
    else await hand.box(object);
    if (!hand.fits(object)) await hand.chooseMask(object);
    if (!hand.fits(object)) {
      await hand.press('undo');
      if (hand.session.state.settings.tool === 'point') {
        await hand.press('toggle_tool');
        await hand.box(object);
      }
    }
    if (hand.f1(object) >= ENOUGH || hand.actions >= PATIENCE) break;
  }
  await hand.press('commit');
}

/** Objects that nothing fits. */
function wrong({ objects, found }: Hand): Mask[] {
  const masks = [...found.values()];
  return objects.filter((object) => masks.every((mask) => maskIou(object, mask) < 0.5));
}

/** How much of the first lies in the second. */
function inside(first: Mask, second: Mask): number {
  return intersectionArea(first, second) / first.area;
}
