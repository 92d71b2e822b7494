import { asSamError, SamError } from '../errors.js';
import type { YXYX } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { Edit, SegmentOptions, SegmentWork, SessionActions } from './actions.js';
import { type Annotator, type LayerContent, promptsOfPlane } from './annotator.js';
import { CommandQueue } from './command-queue.js';
import { COMMANDS, type Command, type CommandArguments, type CommandId, refusal } from './commands/commands.js';
import { fromPrompts, SEGMENT } from './commands/segmenting.js';
import { segmentAllTitle } from './commands/volume-commands.js';
import { besideTheHand } from './edits/automatic-landing.js';
import { landContent } from './edits/edits.js';
import { DEFAULT_SETTINGS, emptyState } from './empty-state.js';
import { expectedState } from './expected.js';
import { isOtherWork, withoutChange } from './fields.js';
import { History, type Memo } from './history.js';
import { PartialResults } from './partial-results.js';
import {
  type ImageInfo,
  type Message,
  type SessionSettings,
  type SessionState,
  TASK_SLOTS,
  type TaskSlot,
} from './state.js';
import { Tasks } from './tasks.js';

/**
 * The annotator: one image, its prompts and objects, and every way to change them. State is immutable and only `apply`
 * makes a new one, each recorded step can be undone, and a command that fails leaves the state as it was. Knows no
 * viewer: the presenter and the RPC service listen with `subscribe` and act with `run`.
 *
 * @example
 * const session = new AnnotationSession();
 * session.open({ name: 'cells.tif', axes: 'yx', size: [512, 512], planes: 1, signature }, annotator);
 * await session.run('put_prompts', { prompts: [{ kind: 'point', id: session.newPromptId(), plane: 0, at: [90, 120], positive: true }] });
 * await session.run('commit');
 */
export class AnnotationSession implements SessionActions {
  private current: SessionState;
  private onScreen?: YXYX;
  private readonly history = new History();
  private readonly listeners = new Set<SessionListener>();
  private readonly viewers = new Map<SessionListener, SessionState>();
  private readonly queue = new CommandQueue(() => this.set({ ...this.current }));
  private expected: SessionState;
  private readonly tasks = new Tasks((tasks) => this.set({ ...this.current, tasks }));
  private annotatorInUse?: Annotator;
  private promptCount = 0;
  /** Counts the images opened. */
  private sitting = 0;
  /** Number of the latest command that had been given when the message came. */
  private messageAfter = 0;
  /** Does the command at work again, if undo stops it. */
  private stoppable?: () => Promise<void>;
  /** Of which plane the embedding was asked for last, and what has come of it. */
  private preparing?: { readonly plane: number; readonly status: NonNullable<SessionState['embedding']> };

  constructor(settings: Partial<SessionSettings> = {}) {
    this.current = emptyState({ ...DEFAULT_SETTINGS, ...settings });
    this.expected = this.current;
  }

  get state(): SessionState {
    return this.current;
  }

  /**
   * The state as the hand expects it: with what the commands that wait for their turn will change, as far as that can be
   * told. The same as `state` when none waits. This is what is shown; what is kept and computed with is `state`.
   */
  get shown(): SessionState {
    return this.expected;
  }

  get annotator(): Annotator | undefined {
    return this.annotatorInUse;
  }

  /** The part of the plane on screen, in pixels, where the viewer tells: worked on first. Nothing that is kept depends on it. */
  get view(): YXYX | undefined {
    return this.onScreen;
  }

  /** For the viewer, which is the only one to know. */
  setView(view: YXYX): void {
    this.onScreen = view;
  }

  /** Called after every change with the new and the previous state. Returns the function that ends the subscription. */
  subscribe(listener: SessionListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The same for what is shown: called with the newest `shown`, and with the one that this listener has seen before. */
  subscribeShown(listener: SessionListener): () => void {
    this.viewers.set(listener, this.expected);
    return () => this.viewers.delete(listener);
  }

  /**
   * Starts on an image. Work on the previous image is cancelled and its history forgotten; settings stay.
   *
   * @param restored what autosave or a session file kept of this image (`restoreDocument` makes it)
   */
  open(image: ImageInfo, annotator?: Annotator, restored?: Partial<SessionState>): void {
    this.leave();
    this.annotatorInUse = annotator;
    const empty = emptyState(this.current.settings);
    const settings = { ...empty.settings, ...restored?.settings, positive: true };
    this.set({ ...empty, ...restored, image, settings, history: {}, tasks: this.current.tasks });
  }

  /** Replaces what segments, e.g. after another model was chosen. The work done so far stays; what is segmented begins anew. */
  useAnnotator(annotator: Annotator): void {
    const segmenting = this.current.tasks.some(({ slot }) => slot === 'segment');
    this.annotatorInUse = annotator;
    this.cancelWorkOnImage();
    this.preparing = undefined;
    const { embedding: _, ...state } = this.current;
    this.set(state);
    const unsegmented = promptsOfPlane(state).length > 0 && state.layers.current_object.objects.size === 0;
    if (unsegmented && state.settings.autoSegment && !segmenting)
      this.queue
        .add({ id: 'segment_object', makesStep: true }, () =>
          this.segment(SEGMENT, fromPrompts, { amend: this.history.latest }),
        )
        .catch((error) => this.report(error));
  }

  close(): void {
    this.leave();
    this.tasks.cancel();
    this.annotatorInUse = undefined;
    this.set(emptyState(this.current.settings));
  }

  /** A prompt id that no prompt of this session has, nor begins with: what is made at once shares it, as `p1-0`, `p1-1` … */
  newPromptId(): string {
    const taken = new Set(this.current.prompts.map((prompt) => prompt.id.replace(/-\d+$/, '')));
    let id: string;
    do id = `p${++this.promptCount}`;
    while (taken.has(id));
    return id;
  }

  /**
   * Makes the edit's change, as one step of undo. Throws what the edit throws, with the state as it was.
   *
   * @param amend the latest step, if the change is to be part of it: a slider that is still being dragged
   */
  apply(edit: Edit, amend?: Memo): Memo | undefined {
    const before = this.current;
    const after = edit.change(before);
    if (after === before) return undefined;
    if (isOtherWork(before, after)) this.needWritable();
    if (invalidates(before, after)) this.tasks.cancel('segment');
    const memo = this.history.amend(amend, edit.title, before, after);
    this.set({ ...this.withMessage(after, edit.notice), history: this.history.titles });
    return memo;
  }

  /** The same in its turn, after all commands given so far: for changes that other programs and files make. */
  applyInTurn(edit: Edit): Promise<void> {
    return this.queue.add({ id: 'edit', predict: edit.change }, () => void this.apply(edit));
  }

  /**
   * The same for a change that something else is done with. Resolves, when it is made, with what takes it back if that is
   * refused or fails: then all is as it was, undo and redo included, but for what others have changed meanwhile.
   */
  async tryInTurn(edit: Edit): Promise<() => void> {
    let takeBack = () => {};
    await this.queue.add({ id: 'edit', predict: edit.change }, () => {
      const before = this.current;
      const mark = this.history.mark();
      const memo = this.apply(edit);
      const after = this.current;
      takeBack = () => {
        const back = withoutChange(this.current, before, after);
        if (memo && !this.history.forget(memo, mark)) this.apply({ title: edit.title, change: () => back });
        else this.set({ ...back, history: this.history.titles });
      };
    });
    return takeBack;
  }

  undo(): boolean {
    return this.travel((state) => this.history.undo(state));
  }

  /** A step that undo stopped takes its time again. */
  redo(): boolean | Promise<void> {
    return this.history.takeStopped()?.again() ?? this.travel((state) => this.history.redo(state));
  }

  /** Undo of what has not ended: nobody waits for what is to be taken back. */
  private undoWaiting(again: () => Promise<void>): Promise<void> {
    this.queue.drop(this.queue.waiting.length - 1);
    return this.queue.add({ id: 'stop' }, () => this.stopped(segmentAllTitle(this.current), again));
  }

  private undoRunning(again: () => Promise<void>): Promise<void> {
    const title = segmentAllTitle(this.current);
    const { latest } = this.history;
    const undone = this.queue.add({ id: 'undo' }, () => {
      if (this.history.latest !== latest) return void this.undo(); // it was quicker
      this.stopped(title, again);
    });
    this.tasks.cancel('segment');
    return undone;
  }

  private stopped(title: string, again: () => Promise<void>): void {
    this.history.recordStopped({ title, again });
    this.set({ ...this.current, history: this.history.titles });
  }

  /**
   * Does what the command table describes, in its turn: commands are carried out in the order in which they are given,
   * each after all that the one before has brought about, so that nobody needs to wait between them. Resolves when it is
   * done, including a segmentation it causes; rejects with a SamError, which is also shown as the state's message.
   */
  async run<Id extends CommandId>(id: Id, ...args: CommandArguments<Id>): Promise<void> {
    const command = COMMANDS[id] as Command<(typeof args)[0]>;
    const { background, makesStep } = command;
    const work = () => this.carryOut(id, args[0]);
    if (command.atOnce) return work();
    const latest = this.queue.waiting.at(-1);
    if (id === 'undo' && latest?.again) return this.undoWaiting(latest.again);
    if (id === 'undo' && !latest && this.stoppable) return this.undoRunning(this.stoppable);
    const predict = (state: SessionState) => command.predict?.(state, args[0]) ?? state;
    const again = command.undoStops && !refusal(id, this.expected) && (async () => this.carryOut(id, args[0]));
    return this.queue.add({ id, background, makesStep, predict, ...(again && { again }) }, work);
  }

  private carryOut(id: CommandId, args: unknown): void | Promise<void> {
    try {
      const command = COMMANDS[id] as Command<unknown>;
      const { image } = this.current;
      const reason = image && command.refusesItself ? undefined : refusal(id, this.current);
      if (reason) throw new SamError(image ? 'invalid_argument' : 'no_image', reason);
      const work = command.run(this, args);
      if (work && command.undoStops) this.stoppable = async () => this.carryOut(id, args);
      return work
        ?.catch((error) => {
          throw this.report(error);
        })
        .finally(() => {
          if (command.undoStops) this.stoppable = undefined;
        });
    } catch (error) {
      throw this.report(error);
    }
  }

  /** Shows a message; undefined removes it. */
  notify(message: Message | undefined): void {
    const { message: _, ...rest } = this.current;
    this.messageAfter = this.queue.latest;
    this.set(message ? { ...rest, message } : rest);
  }

  /** For whatever keeps the work safe (autosave.ts). The problem stays shown for as long as it lasts. */
  reportAutosave(autosave: SessionState['autosave'], problem?: string): void {
    const { autosaveProblem, ...rest } = this.current;
    if (rest.autosave === autosave && autosaveProblem === problem) return;
    this.set({ ...rest, autosave, ...(problem && { autosaveProblem: problem }) });
  }

  /** Refuses changes to the work from now on, for that reason; undefined allows them again. */
  setReadOnly(reason: string | undefined): void {
    if (reason !== undefined) this.tasks.cancel('segment');
    const { readOnly: _, ...rest } = this.current;
    this.set(reason === undefined ? rest : { ...rest, readOnly: reason });
  }

  /**
   * Stops running work: one task, those of a slot, or all. Its promise rejects with `cancelled`. With a segmentation go the
   * commands that wait for it, since they were meant for what it would have given.
   */
  cancel(which?: number | TaskSlot): void {
    const slot = this.current.tasks.find(({ id }) => id === which)?.slot ?? which;
    this.tasks.cancel(which);
    const dropped = slot === undefined || slot === 'segment' ? this.queue.drop().length : 0;
    if (dropped > 0) {
      const text = `Stopped. ${dropped === 1 ? 'One step that waited was' : `${dropped} steps that waited were`} not carried out.`;
      this.notify({ level: 'info', text });
    }
  }

  /** Resolves when all commands given so far, and those given meanwhile, are carried out and nothing is segmented. */
  async settled(): Promise<void> {
    do {
      await this.queue.idle();
      await this.tasks.settled('segment');
    } while (this.queue.current);
  }

  /**
   * Runs the annotator on the present state and lands what it returns. A newer run of the same slot cancels this one;
   * nothing lands after the image was changed. With another annotator a segmentation begins anew.
   */
  async segment(name: string, work: SegmentWork, options: SegmentOptions = {}): Promise<void> {
    this.needWritable();
    const annotator = this.needAnnotator();
    const { image } = this.current;
    const { slot = 'segment', amend, since = this.current } = options;
    const { sitting } = this;
    const replaced = () => this.annotatorInUse !== annotator && this.sitting === sitting;
    try {
      await this.tasks.run(slot, name, async (task) => {
        const partial = new PartialResults((change) => this.set(change(this.current)), since, task.signal);
        try {
          const result = await work(annotator, this.current, { ...task, onPartial: partial.show, view: this.view });
          task.signal.throwIfAborted();
          this.land(name, besideTheHand(result, since, this.current), { partial, amend });
        } finally {
          partial.end();
        }
      });
    } catch (error) {
      if (slot === 'segment' && replaced()) return this.segment(name, work, options);
      const here = () =>
        this.annotatorInUse === annotator &&
        this.current.image === image &&
        this.current.readOnly === undefined &&
        !this.current.tasks.some((task) => task.slot === slot);
      const found = here() ? await options.soFar?.(annotator, this.current).catch(() => undefined) : undefined;
      if (found && here()) this.land(name, found);
      throw error;
    }
  }

  private land(
    name: string,
    result: LayerContent,
    { partial, amend }: { readonly partial?: PartialResults; readonly amend?: Memo } = {},
  ): void {
    const before = this.current;
    const edit = landContent(name, result);
    const after = edit.change(before);
    this.history.amend(amend, name, before, after);
    const landed = this.withMessage(partial?.removedFrom(after) ?? after, edit.notice);
    this.set({ ...landed, history: this.history.titles });
  }

  /** Makes the embedding of the visible plane, with progress. */
  async prepare(): Promise<void> {
    const annotator = this.needAnnotator();
    const { plane } = this.expected;
    const computing = { plane, status: 'computing' } as const;
    this.preparing = computing;
    this.set({ ...this.current });
    const outcome = (status: 'ready' | 'failed') => {
      if (this.preparing !== computing) return;
      this.preparing = { plane, status };
      this.set({ ...this.current });
    };
    try {
      await this.tasks.run('prepare', 'Compute embeddings', (task) => annotator.prepare(plane, task));
      outcome('ready');
    } catch (error) {
      outcome('failed');
      throw error;
    }
  }

  /** Tells the user what went wrong; being cancelled needs no telling. */
  report(error: unknown): SamError {
    const known = asSamError(error);
    if (known.code !== 'cancelled') this.notify({ level: 'error', text: known.message, code: known.code });
    return known;
  }

  private needWritable(): void {
    const { readOnly } = this.current;
    if (readOnly !== undefined) throw new SamError('read_only', readOnly);
  }

  private needAnnotator(): Annotator {
    if (this.annotatorInUse) return this.annotatorInUse;
    if (!this.current.image) throw new SamError('no_image', 'No image is open. Open an image first.');
    throw new SamError('no_worker', 'No model is loaded yet. Wait until the model is ready, or choose a model.');
  }

  /** Runs work whose progress is shown and that the user, or the caller's signal, can cancel. */
  task<T>(
    slot: TaskSlot,
    name: string,
    work: (task: Required<TaskOptions>) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.tasks.run(slot, name, work, signal);
  }

  private travel(step: (state: SessionState) => SessionState | undefined): boolean {
    this.needWritable();
    this.tasks.cancel('segment');
    const next = step(this.current);
    if (!next) return false;
    this.set({ ...this.withMessage(next), history: this.history.titles });
    return true;
  }

  private leave(): void {
    this.sitting++;
    this.queue.drop();
    this.cancelWorkOnImage();
    this.history.clear();
    this.preparing = undefined;
  }

  /** Another image that is being opened, or a model that is being imported or loaded, goes on. */
  private cancelWorkOnImage(): void {
    const others: readonly TaskSlot[] = ['open', 'import', 'model'];
    for (const slot of TASK_SLOTS) if (!others.includes(slot)) this.tasks.cancel(slot);
  }

  /** With this message, or without any, unless the one there is came after the command at work was given. */
  private withMessage(state: SessionState, message?: Message): SessionState {
    if (message) {
      this.messageAfter = this.queue.latest;
      return { ...state, message };
    }
    if (this.queue.number <= this.messageAfter) return state;
    const { message: _, ...rest } = state;
    return rest;
  }

  private set(next: SessionState): void {
    const previous = this.current;
    if (next === previous) return;
    const { waiting } = this.queue;
    const { waiting: _, ...rest } = next;
    this.current = this.withEmbedding(waiting.length > 0 ? { ...rest, waiting: waiting.length } : rest);
    const before = this.expected;
    this.expected =
      waiting.length > 0 ? this.withEmbedding(expectedState(this.current, this.queue, this.history)) : this.current;
    const moved = before.plane !== this.expected.plane && before.image === this.expected.image;
    if (moved) this.annotatorInUse?.prefetch?.(this.expected.plane);
    for (const listener of [...this.listeners]) listener(this.current, previous);
    for (const [listener, seen] of [...this.viewers]) {
      const now = this.expected;
      if (this.viewers.get(listener) !== seen || seen === now) continue;
      this.viewers.set(listener, now);
      listener(now, seen);
    }
  }

  private withEmbedding({ embedding: _, ...state }: SessionState): SessionState {
    const { preparing } = this;
    return preparing?.plane === state.plane ? { ...state, embedding: preparing.status } : state;
  }
}

export type SessionListener = (state: SessionState, previous: SessionState) => void;

/** A running segmentation answers another question once the prompts or the current object changed. */
function invalidates(before: SessionState, after: SessionState): boolean {
  return before.prompts !== after.prompts || before.layers.current_object !== after.layers.current_object;
}
