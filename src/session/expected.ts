import { itemAt } from '../items.js';
import type { CommandQueue, QueuedCommand } from './command-queue.js';
import { type History, patchState } from './history.js';
import type { SessionState } from './state.js';

/**
 * The state as the hand expects it: what there is, changed by the commands that wait as far as that can be told without
 * the model. Prompts are there at once, a committed object is gone from the current ones, a plane is the visible one;
 * masks come when they come. Only ever shown: when a command's turn has come, what it does is decided anew.
 */
export function expectedState(
  state: SessionState,
  { current, waiting }: Pick<CommandQueue, 'current' | 'waiting'>,
  history: History,
): SessionState {
  let now = state;
  const before: SessionState[] = current?.makesStep ? [state] : [];
  const undone: SessionState[] = [];
  let done = history.steps.done.length;
  let redoable = history.steps.undone.length;
  for (const command of waiting) {
    if (command.id === 'undo') {
      const past = before.pop();
      undone.push(now);
      if (past) now = withWorkOf(now, past);
      else if (done > 0) now = patchState(now, itemAt(history.steps.done, --done).back);
      continue;
    }
    if (command.id === 'redo') {
      const next = undone.pop();
      if (next) {
        before.push(now);
        now = withWorkOf(now, next);
      } else if (redoable > 0) {
        const step = itemAt(history.steps.undone, --redoable);
        if ('forth' in step) now = patchState(now, step.forth);
      }
      continue;
    }
    const next = predicted(command, now);
    if (command.makesStep || WORK.some((name) => next[name] !== now[name])) {
      before.push(now);
      undone.length = 0;
      redoable = 0;
    }
    now = next;
  }
  return now;
}

function predicted(command: QueuedCommand, state: SessionState): SessionState {
  try {
    return command.predict?.(state) ?? state;
  } catch {
    return state; // told when its turn has come
  }
}

/** What undo brings back. */
const WORK = ['prompts', 'layers', 'lineages', 'currentLineages', 'editing', 'candidates', 'closing'] as const;

function withWorkOf(now: SessionState, before: SessionState): SessionState {
  const { prompts, layers, lineages, currentLineages, editing, candidates, closing } = before;
  return { ...now, prompts, layers, lineages, currentLineages, editing, candidates, closing };
}
