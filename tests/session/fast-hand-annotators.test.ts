import assert from 'node:assert/strict';
import type { Tensor } from '../../src/ndimage/array.js';
import { createAnnotator } from '../../src/session/annotators/create-annotator.js';
import * as stacks from '../../src/session/annotators/stacks.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import type { AnnotatorKind } from '../../src/session/state.js';
import { type HandStep, type HandTools, play } from '../support/fast-hand.js';
import { promptedWorker } from '../support/prompted-worker.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { stackContext } from '../support/stack-source.js';

/** The seed of a short sequence; the first takes six times as long. */
const FEW = [2];
/** Of each annotator in the thorough form; in a longer one e.g. `FAST_HAND_SEQUENCES=100`. */
const SEQUENCES = Number(process.env.FAST_HAND_SEQUENCES ?? 8);
const PLANES = 3;
const SIZE = [60, 80] as const;

describe('a hand faster than the model, with the annotators that segment', function () {
  this.timeout(600_000);
  for (const kind of ['2d', '3d', 'tracking'] as const) {
    it(`${kind}: makes the same objects as a slow one`, () => sameAsSlow(kind, FEW));
    it(`${kind}: makes the same objects as a slow one, in more sequences (thorough)`, () =>
      sameAsSlow(
        kind,
        Array.from({ length: SEQUENCES }, (_, k) => k + 1).filter((seed) => !FEW.includes(seed)),
      ));
  }
});

async function sameAsSlow(kind: AnnotatorKind, seeds: readonly number[]): Promise<void> {
  const wrong: number[] = [];
  for (const seed of seeds) {
    const steps = corrections(seededRandom(seed), 12, kind);
    const tools = toolsOf(kind);
    const slow = await play(steps, { fast: false, random: seededRandom(seed), tools });
    const fast = await play(steps, { fast: true, random: seededRandom(seed + 1_000_000), tools });
    if (slow.some((work, k) => work !== fast[k])) wrong.push(seed);
  }
  assert.deepEqual(wrong, [], `of ${seeds.length} sequences ${wrong.length} end in other objects`);
}

function toolsOf(kind: AnnotatorKind): HandTools {
  const contextOf = (pause: (longest: number) => Promise<void>) =>
    stackContext(
      promptedWorker(() => pause(600)),
      PIXELS,
    );
  return {
    annotator: (pause) => createAnnotator(kind, contextOf(pause), PLANES, undefined, stacks),
    settings: { annotator: kind },
  };
}

const PIXELS: Tensor = {
  data: Float32Array.from({ length: PLANES * SIZE[0] * SIZE[1] }, (_, p) => {
    const plane = Math.floor(p / (SIZE[0] * SIZE[1]));
    return (p * (7 + plane)) % (50 + 13 * plane);
  }),
  shape: [PLANES, ...SIZE],
};

/** Clicks and corrections on new, loaded, picked and propagated objects, with everything in between that ends or undoes. */
function corrections(random: () => number, length: number, kind: AnnotatorKind): HandStep[] {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  const at = () => [int(0, SIZE[0]) + 0.5, int(0, SIZE[1]) + 0.5] as const;
  const commands: readonly (readonly [number, CommandId, (() => unknown)?])[] = [
    [5, 'commit'],
    [3, 'toggle_label'],
    [2, 'clear_annotations'],
    [3, 'refine_object'],
    [2, 'delete'],
    [5, 'undo'],
    [3, 'redo'],
    [3, 'set_plane', () => ({ plane: int(0, PLANES) })],
    [kind === '2d' ? 0 : 4, 'segment_all'],
    [5, 'pick_object', () => ({ id: int(1, 4) })],
    [2, 'next_candidate'],
    [2, 'change_prompt', () => ({ prompt: point(`h${int(0, length)}`) })],
    [2, 'remove_prompts', () => ({ ids: [`h${int(0, length)}`] })],
    [2, 'paint', () => ({ tool: int(0, 2) ? 'brush' : 'eraser', path: [at(), at()], radius: int(2, 6) })],
    [1, 'toggle_auto_commit'],
    [1, 'delete_object', () => ({ layer: 'committed_objects', id: int(1, 4) })],
    [1, 'set_track', () => ({ id: int(1, 3) })],
    [1, 'scribble', () => ({ id: `s${int(0, 99)}`, path: [at(), at()] })],
  ];
  const bag = commands.flatMap(([weight, id, args]) => Array.from({ length: weight }, () => [id, args] as const));
  const point = (id: string) => ({ kind: 'point', id, plane: 0, at: at(), positive: random() < 0.8 }) as const;
  return Array.from({ length }, (_, k): HandStep => {
    const wait = int(0, 4) ? int(0, 500) : 0;
    const choice = random();
    if (choice < 0.35)
      return { wait, kind: 'prompt', negative: random() < 0.25, prompt: { ...point(`h${k}`), positive: true } };
    if (choice < 0.42) {
      const [y, x] = [int(0, 40), int(0, 60)];
      const box = [y, x, y + int(5, 20), x + int(5, 20)] as const;
      return { wait, kind: 'prompt', negative: false, prompt: { kind: 'box', id: `h${k}`, plane: 0, box } };
    }
    if (choice < 0.46) return { wait, kind: 'load', at: at() };
    if (choice < 0.49) return { wait, kind: 'model' };
    if (choice < 0.52) return { wait, kind: 'image', index: int(0, 2) };
    const [id, args] = bag[int(0, bag.length)];
    return { wait, kind: 'command', id, args: args?.() };
  });
}
