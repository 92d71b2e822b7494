import { asSamError, SamError } from '../errors.js';
import type { YX } from '../ndimage/array.js';
import type { Prompt } from '../segmentation/prompts.js';
import {
  COMMAND_LIST,
  COMMANDS,
  type CommandArguments,
  type CommandId,
  isCommandId,
  refusal,
} from '../session/commands/commands.js';
import { samePrompt } from '../session/edits/prompt-rules.js';
import { shownLayer } from '../session/layers.js';
import type { AnnotationSession } from '../session/session.js';
import type { ImageInfo, ObjectLayerName, SessionState } from '../session/state.js';
import { HandOrder } from './hand-order.js';
import { HoverPreview } from './hover.js';
import { commandOfKey } from './keys.js';
import { Latest } from './latest.js';
import { type PanelModel, panelModel } from './panel/panel.js';
import { PanelDrawing } from './panel/panel-drawing.js';
import type { PresenterOptions } from './presenter-options.js';
import { Readout } from './readout.js';
import type { SectionObject } from './sections/section-objects.js';
import { SectionView } from './sections/section-view.js';
import { visibleTails } from './track-tails.js';
import { sectionObjects, viewObjects } from './view-objects.js';
import type { Viewer, ViewerEvent, ViewMove, ViewSlider, ViewTrack } from './viewer.js';

/**
 * Between a session and a viewer: shows what changed of the state, and turns what the hand does in the viewer into
 * commands. Holds no data of its own but what concerns the view: colours and visibility. What the viewer echoes of our
 * own writes changes nothing, since the session recognises what it has.
 */
export class Presenter {
  private readonly hover: HoverPreview;
  private readonly stop: (() => void)[] = [];
  private readonly image: Latest<ImageInfo>;
  private readonly objects: Readonly<Record<ObjectLayerName, Latest<SessionState>>>;
  private readonly prompts: Latest<readonly Prompt[]>;
  private readonly tracks: Latest<readonly ViewTrack[]>;
  private readonly closing: Latest<readonly Prompt[]>;
  private readonly hand: HandOrder;
  private readonly sections?: SectionView;
  private readonly readout?: Readout;
  private pointer?: YX;
  private tailed = false;
  private readonly others: Latest<() => Promise<void>>[] = [];
  /** What the viewer was last given under an id: hearing the same from it is an echo, however late it comes. */
  private readonly given = new Map<string, Prompt>();
  private shuffle = 0;
  private visible = true;
  private closed = false;
  private readonly panel: PanelDrawing;
  private ticking?: ReturnType<typeof setTimeout>;
  private busy = false;

  constructor(
    readonly session: AnnotationSession,
    readonly viewer: Viewer,
    private readonly options: PresenterOptions,
  ) {
    const latest = <T>(show: (value: T) => Promise<void>) => new Latest(show, (error) => this.viewerFailed(error));
    const layer = (name: ObjectLayerName) =>
      latest((state: SessionState) => viewer.showObjects(name, viewObjects(state, name, this.shuffle)));
    this.image = latest((image: ImageInfo) => this.showImage(image));
    this.objects = {
      current_object: layer('current_object'),
      auto_segmentation: layer('auto_segmentation'),
      committed_objects: layer('committed_objects'),
    };
    this.prompts = latest((prompts: readonly Prompt[]) => {
      for (const prompt of prompts) this.given.set(prompt.id, prompt);
      return viewer.showPrompts(prompts);
    });
    this.closing = latest(async (prompts: readonly Prompt[]) => viewer.showClosing?.(prompts));
    this.panel = new PanelDrawing(
      options.onPanel,
      () => this.panelModel(),
      () => partsOfTable(session.shown),
      () => this.objects.current_object.busy || session.shown.tasks.length > 0,
    );
    this.hand = new HandOrder(
      (event) => this.receive(event),
      async () => viewer.flush?.(),
    );
    this.tracks = latest(async (tracks: readonly ViewTrack[]) => viewer.showTracks?.(tracks));
    const channel = () => {
      const one = latest((call: () => Promise<void>) => call());
      this.others.push(one);
      return one;
    };
    [this.tool, this.slider, this.preview, this.busyMark] = [channel(), channel(), channel(), channel()];
    this.hover = new HoverPreview(session, (mask) => this.preview.push(() => viewer.showPreview(mask)));
    if (viewer.showReadout && options.valuesAt)
      this.readout = new Readout(
        () => session.shown,
        options.valuesAt,
        async (text) => viewer.showReadout?.(text),
      );
    if (viewer.showSections && options.sections)
      this.sections = new SectionView(
        session,
        {
          show: async (sections) => viewer.showSections?.(sections),
          source: options.sections,
          objects: (state) => (this.visible ? sectionObjects(state, this.shuffle) : []),
        },
        (error) => this.viewerFailed(error),
      );
    this.stop.push(
      session.subscribeShown((state, previous) => this.show(state, previous)),
      viewer.on((event) => this.hand.fromViewer(event)),
    );
    const commands = COMMAND_LIST.filter((command) => command.inViewer).map(({ id, title }) => ({ id, title }));
    channel().push(() => viewer.showCommands(commands));
    this.show(session.shown, undefined);
  }

  private readonly tool: Latest<() => Promise<void>>;
  private readonly slider: Latest<() => Promise<void>>;
  private readonly preview: Latest<() => Promise<void>>;
  private readonly busyMark: Latest<() => Promise<void>>;

  /** Runs a command for the user; what goes wrong is shown, so this never rejects. */
  async run<Id extends CommandId>(id: Id, ...args: CommandArguments<Id>): Promise<void> {
    const { session } = this;
    try {
      if (COMMANDS[id].scope === 'session') return await session.run(id, ...args);
      const reason = refusal(id, session.state);
      if (reason) return session.notify({ level: 'info', text: reason });
      if (id === 'toggle_objects') await this.toggleObjects();
      else if (id === 'shuffle_colors') this.shuffleColors();
      else if (id === 'toggle_sections') this.toggleSections();
      else if (Object.hasOwn(VIEW_MOVES, id)) await this.viewer.moveView?.(VIEW_MOVES[id as keyof typeof VIEW_MOVES]);
      else await this.options.actions?.[id]?.();
    } catch (error) {
      if (COMMANDS[id].scope !== 'session') session.report(error); // else the session has
    }
  }

  /**
   * Runs a command for a hand that is in another window than the viewer: after all that it has done in the viewer before.
   *
   * @param time when the hand moved, in milliseconds since the epoch
   */
  runInOrder<Id extends CommandId>(time: number, id: Id, ...args: CommandArguments<Id>): void {
    void this.hand.fromElsewhere(() => void this.run(id, ...args), time);
  }

  /** Shows the image anew, e.g. after its contrast was changed. */
  refreshImage(): void {
    const { image } = this.session.shown;
    if (image) this.image.push(image);
    this.sections?.repaint();
  }

  /** Draws the panel anew, e.g. after its facts changed. */
  refreshPanel(): void {
    this.panel.refresh();
  }

  private panelModel(): PanelModel {
    const { shown, annotator } = this.session;
    return panelModel(shown, {
      facts: this.options.facts?.() ?? [],
      automatic: annotator?.automaticStatus?.(shown),
      now: Date.now(),
      sections: this.sections !== undefined,
    });
  }

  /** Resolves when viewer and panel show the present state. */
  async idle(): Promise<void> {
    const all = [this.image, this.prompts, this.closing, this.tracks, ...Object.values(this.objects), ...this.others];
    await Promise.all([
      ...all.map((latest) => latest.idle()),
      this.sections?.idle(),
      this.readout?.idle(),
      this.panel.idle(),
    ]);
  }

  /** Stops listening; the viewer stays open. */
  close(): void {
    this.closed = true;
    this.panel.close();
    clearTimeout(this.ticking);
    for (const stop of this.stop) stop();
    this.sections?.close();
  }

  private show(state: SessionState, previous: SessionState | undefined): void {
    const { viewer } = this;
    const moved = state.plane !== previous?.plane || state.image !== previous?.image;
    if (state.image !== previous?.image) this.given.clear();
    if (state.image && moved) this.image.push(state.image);
    for (const name of LAYERS) {
      const changed = !previous || shownLayer(state, name) !== shownLayer(previous, name);
      const edited = name === 'committed_objects' && state.editing !== previous?.editing;
      const chosen =
        state.selected !== previous?.selected ||
        (name === 'auto_segmentation' && state.chosenAutomatic !== previous?.chosenAutomatic);
      if (changed || edited || chosen || moved) this.objects[name].push(state);
    }
    if (state.prompts !== previous?.prompts || moved) this.pushPrompts(state);
    if (state.closing !== previous?.closing || (moved && state.closing)) this.closing.push(closingHere(state));
    if (moved || TRACK_PARTS.some((part) => state[part] !== previous?.[part])) this.pushTracks(state);
    const { tool: kind, positive, brushSize } = state.settings;
    const before = previous?.settings;
    if (kind !== before?.tool || positive !== before.positive || brushSize !== before.brushSize)
      this.tool.push(() => viewer.setTool({ kind, positive, brushSize }));
    if (moved) {
      const { planes = 1, axes = 'yx' } = state.image ?? {};
      const axis = axes.includes('z') ? 'z' : 't';
      this.slider.push(() => {
        const slider = planes > 1 ? ({ count: planes, at: state.plane, axis } as const) : undefined;
        return viewer.showPlaneSlider(slider, otherSlider(state.image));
      });
    }
    if (state.tasks.length > 0) this.tick();
    else this.setBusy(false);
    this.hover.refresh();
    this.readout?.refresh();
    this.sections?.follow(state, previous);
    this.refreshPanel();
  }

  /** While work is running: the time left changes, and what takes longer than a moment is marked in the viewer. */
  private tick(): void {
    if (this.ticking !== undefined) return;
    this.ticking = setTimeout(() => {
      this.ticking = undefined;
      if (this.closed || this.session.shown.tasks.length === 0) return;
      this.setBusy(true);
      this.refreshPanel();
      this.tick();
    }, 400);
  }

  private setBusy(busy: boolean): void {
    if (busy === this.busy) return;
    this.busy = busy;
    this.busyMark.push(() => this.viewer.showBusy(busy));
  }

  private async showImage(image: ImageInfo): Promise<void> {
    const { viewer, options, session } = this;
    const { plane } = session.shown;
    const [height, width] = image.size;
    if (options.renderer && viewer.showLargeImage && height * width > LARGE_PLANE)
      await viewer.showLargeImage(image.name, image.size, options.renderer(image, plane));
    else {
      const pixels = await options.readPixels(image, plane);
      const { shown } = session;
      if (shown.image === image && shown.plane === plane) await viewer.showImage(image.name, pixels);
    }
    if (options.channels) await viewer.showChannels?.(options.channels());
    if (options.scale) await viewer.showScale?.(options.scale());
  }

  private toggleSections(): void {
    if (!this.sections) throw new SamError('unsupported', 'This viewer cannot show sections.');
    this.sections.toggle(this.pointer);
  }

  private pushPrompts(state: SessionState): void {
    this.prompts.push(state.prompts.filter((prompt) => prompt.plane === state.plane));
  }

  /** Most images have no tracks: nothing is sent for them. */
  private pushTracks(state: SessionState): void {
    const tails = visibleTails(state, this.shuffle);
    if (tails.length > 0 || this.tailed) this.tracks.push(this.visible ? tails : []);
    this.tailed = tails.length > 0;
  }

  private async toggleObjects(): Promise<void> {
    this.visible = !this.visible;
    for (const name of LAYERS) await this.viewer.setLayerVisible(name, this.visible);
    this.sections?.repaint();
    this.pushTracks(this.session.shown);
  }

  /** Committed objects and those in work, in their colours, in all planes. */
  get objectsInColour(): SectionObject[] {
    return [...sectionObjects(this.session.shown, this.shuffle)];
  }

  private shuffleColors(): void {
    this.shuffle++;
    for (const name of LAYERS) this.objects[name].push(this.session.shown);
    this.pushTracks(this.session.shown);
    this.sections?.repaint();
  }

  private receive(event: ViewerEvent): void {
    const { shown: state } = this.session;
    switch (event.kind) {
      case 'prompt-added':
        if (this.isEcho(event.prompt)) break;
        this.fromHand('put_prompts', { prompts: [event.prompt], byHand: event.negative ? 'negative' : 'tool' });
        if (event.prompt.kind === 'point') this.sections?.moveTo(event.prompt.at);
        break;
      case 'prompt-changed': {
        if (this.isEcho(event.prompt)) break;
        const known = state.prompts.find((prompt) => prompt.id === event.prompt.id);
        // It was moved while it was being taken away, with an object that was committed, say.
        if (!known) this.pushPrompts(state);
        else {
          const kept = { plane: known.plane, ...(known.track && { track: known.track }) };
          this.fromHand('change_prompt', { prompt: { ...event.prompt, ...kept } });
        }
        break;
      }
      case 'prompt-removed':
        if (state.prompts.some(({ id }) => id === event.id)) this.fromHand('remove_prompts', { ids: [event.id] });
        break;
      case 'prompt-refused':
        this.session.notify({ level: 'info', text: REFUSED[event.why] });
        break;
      case 'object-picked':
        if (event.extend) void this.run('select_objects', { layer: event.layer, ids: [event.id], how: 'toggle' });
        else if (event.layer === 'auto_segmentation') void this.run('choose_automatic', { id: event.id });
        else if (event.layer === 'committed_objects') void this.run('pick_object', { id: event.id });
        break;
      case 'object-edited':
        void this.run('edit_outline', event).then(() => this.objects[event.layer].push(this.session.shown));
        break;
      case 'band':
        void this.run('select_in_box', { box: event.box });
        break;
      case 'painted':
        if (event.tool === 'scribble') void this.run('scribble', { id: this.session.newPromptId(), path: event.path });
        else if (event.tool === 'split') void this.run('split_by_hand', { path: event.path });
        else void this.run('paint', { tool: event.tool, path: event.path, radius: event.radius });
        break;
      case 'section': {
        const plane = this.sections?.choose(event.at);
        if (plane === undefined) break;
        if (plane !== state.plane) void this.run('set_plane', { plane });
        if (event.click && state.settings.tool === 'point') this.putPoint(event.at, plane, event.click);
        break;
      }
      case 'pointer':
        this.pointer = event.at;
        this.hover.move(event.at);
        this.readout?.move(event.at);
        break;
      case 'plane':
        if (event.plane !== state.plane) void this.run('set_plane', { plane: event.plane });
        break;
      case 'other-axis':
        this.options.onOtherAxis?.(event.at);
        break;
      case 'key': {
        const id = commandOfKey(event);
        if (id) this.fromOutside(id);
        break;
      }
      case 'command':
        if (isCommandId(event.id)) this.fromOutside(event.id);
        break;
      case 'channel':
        this.options.onChannel?.(event);
        break;
      case 'files-dropped':
        this.options.onFiles?.(event.files);
        break;
      case 'closed':
        this.options.onClosed?.();
        break;
      case 'view':
        this.session.setView(event.box);
        break;
    }
  }

  /** A click in a section is a point in its slice. */
  private putPoint(
    [, y, x]: readonly [z: number, y: number, x: number],
    plane: number,
    click: 'tool' | 'negative',
  ): void {
    const { session } = this;
    const positive = click === 'tool' && session.shown.settings.positive;
    const prompt = { kind: 'point', id: session.newPromptId(), plane, at: [y + 0.5, x + 0.5], positive } as const;
    void this.run('put_prompts', { prompts: [prompt], byHand: click });
  }

  private isEcho(prompt: Prompt): boolean {
    const given = this.given.get(prompt.id);
    return given !== undefined && samePrompt(given, { ...prompt, plane: given.plane, track: given.track });
  }

  /** A prompt that was refused is still drawn in the viewer: show what there really is. */
  private fromHand<Id extends 'put_prompts' | 'change_prompt' | 'remove_prompts'>(
    id: Id,
    ...args: CommandArguments<Id>
  ): void {
    const { prompts } = this.session.shown;
    const done = this.session.run(id, ...args).catch(() => undefined); // the session has told it
    if (this.session.shown.prompts === prompts) void done.then(() => this.pushPrompts(this.session.shown));
  }

  /** Keys and buttons carry no arguments. */
  private fromOutside(id: CommandId): void {
    const { tasks, selected, splitSeed } = this.session.shown;
    // Escape has other uses.
    if (id === 'cancel' && tasks.length === 0) {
      if (selected ?? splitSeed) void this.run('select_none');
      return;
    }
    void this.run(id as 'commit');
  }

  private viewerFailed(error: unknown): void {
    if (this.closed) return;
    const { code, message } = asSamError(error);
    if (code !== 'cancelled')
      this.session.notify({ level: 'warning', text: `The viewer did not show the change: ${message}`, code });
  }
}

/** What the table of objects shows is too long for the panel's model. */
function partsOfTable({ layers, selected, editing, plane, settings }: SessionState): unknown[] {
  return [layers, selected, editing, plane, settings];
}

function closingHere({ closing = [], plane }: SessionState): Prompt[] {
  return closing.flatMap(({ prompts }) => prompts.filter((prompt) => prompt.plane === plane));
}

const VIEW_MOVES = {
  zoom_in: { zoom: 1.5 },
  zoom_out: { zoom: 1 / 1.5 },
  zoom_fit: { fit: true },
  move_left: { by: [0, -0.15] },
  move_right: { by: [0, 0.15] },
  move_up: { by: [-0.15, 0] },
  move_down: { by: [0.15, 0] },
} as const satisfies Record<string, ViewMove>;

/** Pixels; above this a picture is tens of megabytes, and no screen shows it. */
const LARGE_PLANE = 4096 * 4096;

const REFUSED = {
  outside: 'That is outside the image; nothing was added or moved.',
  empty: 'Nothing was added: hold the mouse button down and drag over a cell.',
} as const;

const TRACK_PARTS = ['layers', 'arriving', 'lineages', 'currentLineages', 'editing'] as const;

const LAYERS: readonly ObjectLayerName[] = ['current_object', 'auto_segmentation', 'committed_objects'];

/** The axis of a recording that its planes do not go through. */
function otherSlider(image: ImageInfo | undefined): ViewSlider | undefined {
  const { recording } = image ?? {};
  if (!recording || recording.view.as === 'projection') return undefined;
  const { times, slices, view } = recording;
  return view.as === 'volume' ? { count: times, at: view.t, axis: 't' } : { count: slices, at: view.z, axis: 'z' };
}
