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
  const name = pick(Object.keys(steps));
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
