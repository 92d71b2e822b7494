import { asSamError } from '../../src/errors.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import type { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, SessionState } from '../../src/session/state.js';
import { randomInteger } from './random.js';

/** Random, repeatable annotation work: what tests of undo, autosave and the presenter walk through. */

export const WALK_IMAGE: ImageInfo = { name: 'walk.tif', axes: 'yx', size: [60, 80], planes: 1, signature: 'abc' };

export interface WalkedStep {
  readonly name: string;
  /** The command was refused, e.g. for want of an object; the state must be as before. */
  readonly refused: boolean;
}

/** One random command, run to its end. Refusals that a user can cause are fine; defects are thrown. */
export async function randomStep(session: AnnotationSession, random: () => number, id: number): Promise<WalkedStep> {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  const at = () => [int(0, 60) + 0.5, int(0, 80) + 0.5] as const;
  const { state } = session;
  const pick = <T>(values: readonly T[]): T => values[int(0, values.length)];
  const prompt = (): Prompt =>
    random() < 0.7
      ? { kind: 'point', id: `r${id}`, plane: 0, at: at(), positive: random() < 0.7 }
      : { kind: 'box', id: `r${id}`, plane: 0, box: boxAt(int(0, 50), int(0, 70), int(3, 20), int(3, 20)) };
  const committed = [...state.layers.committed_objects.objects.keys()];
  const steps: Record<string, () => Promise<unknown>> = {
    add: () => session.run('put_prompts', { prompts: [prompt()] }),
    addMore: () => session.run('put_prompts', { prompts: [prompt()] }),
    move: async () => {
      if (state.prompts.length === 0) return;
      await session.run('change_prompt', { prompt: { ...prompt(), id: pick(state.prompts).id } });
    },
    remove: async () => {
      if (state.prompts.length === 0) return;
      await session.run('remove_prompts', { ids: [pick(state.prompts).id] });
    },
    segment: () => session.run('segment_object'),
    candidate: () => session.run('next_candidate'),
    commit: () => session.run('commit', { preserveMode: pick(['objects', 'pixels', 'none'] as const) }),
    commitAgain: () => session.run('commit'),
    clear: () => session.run('clear_annotations'),
    paint: () =>
      session.run('paint', { tool: pick(['brush', 'eraser', 'fill'] as const), path: [at(), at()], radius: int(1, 6) }),
    pick: async () => {
      if (committed.length > 0) await session.run('pick_object', { id: pick(committed) });
    },
    outline: async () => {
      if (committed.length === 0) return;
      const rings = [[at(), at(), at(), at()]];
      await session.run('edit_outline', { layer: 'committed_objects', id: pick(committed), rings });
    },
    delete: async () => {
      if (committed.length > 0) await session.run('delete_object', { layer: 'committed_objects', id: pick(committed) });
    },
    settings: () =>
      session.run('set_settings', {
        batched: random() < 0.3,
        preserveMode: pick(['objects', 'pixels', 'none'] as const),
        autoSegment: random() < 0.8,
      }),
    tool: () => session.run('toggle_label'),
  };
  return run(steps, random);
}

/** One random edit of whole objects, of a selection or without one, at borders and where objects touch. */
export async function randomEdit(session: AnnotationSession, random: () => number, id: number): Promise<WalkedStep> {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  const { state } = session;
  const { planes, size } = state.image ?? WALK_IMAGE;
  const at = () => [int(0, size[0] + 1), int(0, size[1] + 1)] as const;
  const pick = <T>(values: readonly T[]): T => values[int(0, values.length)];
  const layer = pick(['committed_objects', 'current_object', 'auto_segmentation'] as const);
  const ids = [...state.layers[layer].objects.keys()];
  const some = ids.filter(() => random() < 0.5);
  const point = { kind: 'point', id: `e${id}`, plane: state.plane, at: at(), positive: random() < 0.8 } as const;
  const steps: Record<string, () => Promise<unknown>> = {
    add: () => session.run('put_prompts', { prompts: [point], byHand: 'tool' }),
    addMore: () => session.run('put_prompts', { prompts: [point], byHand: 'tool' }),
    scribble: () => session.run('scribble', { id: `s${id}`, path: [at(), at()] }),
    commit: () => session.run('commit'),
    autoCommit: () => session.run('toggle_auto_commit'),
    label: () => session.run('toggle_label'),
    select: () => session.run('select_objects', { layer, ids: some, how: pick(['replace', 'add', 'toggle'] as const) }),
    rubberBand: () => session.run('select_in_box', { box: [...at(), ...at()] }),
    selectAll: () => session.run('select_all'),
    selectNone: () => session.run('select_none'),
    merge: () => session.run('merge_objects'),
    splitAcross: () => session.run('split_by_hand', { path: [at(), at()] }),
    splitBetween: () => session.run('split_by_hand', { path: [at()] }),
    fill: () => session.run('fill_holes'),
    smooth: () => session.run('smooth_objects'),
    grow: () => session.run('grow_objects', { pixels: int(1, 6) }),
    shrink: () => session.run('shrink_objects', { pixels: int(1, 4) }),
    describe: () => session.run('describe_objects', { facts: { comment: `at ${id}` } }),
    flag: () => session.run('flag_objects'),
    delete: () => session.run('delete'),
    pick: async () => (ids.length > 0 ? session.run('pick_object', { id: pick(ids) }) : undefined),
    erase: () => session.run('paint', { tool: 'eraser', path: [at(), at()], radius: int(1, 8) }),
    plane: () => session.run('set_plane', { plane: int(0, planes) }),
  };
  return run(steps, random);
}

/** Refusals that a user can cause are fine; defects are thrown. */
async function run(steps: Readonly<Record<string, () => Promise<unknown>>>, random: () => number): Promise<WalkedStep> {
  const names = Object.keys(steps);
  const name = names[randomInteger(random, 0, names.length)];
  try {
    await steps[name]();
    return { name, refused: false };
  } catch (error) {
    const known = asSamError(error);
    if (known.code === 'internal') throw error;
    return { name, refused: true };
  }
}

/** What undo restores and what a session file keeps, as comparable text. */
export function documentOf(state: SessionState): string {
  const { positive: _, tool: __, brushSize: ___, hoverPreview: ____, autoSegment: _____, ...settings } = state.settings;
  return exportSession({ ...state, settings: settings as SessionState['settings'] });
}

function boxAt(y: number, x: number, height: number, width: number): readonly [number, number, number, number] {
  return [y, x, y + height, x + width];
}
