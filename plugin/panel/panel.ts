import type { PanelModel } from '../../src/presenter/panel/panel.js';
import type { PanelControl, PanelSection } from '../../src/presenter/panel/panel-controls.js';
import type { SessionState } from '../../src/session/state.js';
import { AutomaticView } from './automatic.js';
import { type ControlActions, type ControlView, keyOf, viewOf } from './controls.js';
import { make, setChildren, setText } from './dom.js';
import { type EngineActions, type EngineModel, ImageSettingsView } from './image-settings.js';
import { ObjectList } from './object-list.js';
import { ProgressList } from './progress.js';
import { type SeriesModel, SeriesView } from './series.js';
import { TracksView } from './tracking.js';
import { WorkerView } from './worker-view.js';

/**
 * The plugin's own window, drawn from the PanelModel. Everything is made once and updated in place; what the user does
 * goes out as command ids and settings. Sections and controls it has never heard of are drawn too.
 */
export interface PanelStatus {
  /** Something that only the user can do to go on, e.g. reopen a viewer that was closed. */
  readonly action?: { readonly title: string; run(): void };
  /** Choices of the image: its channels. */
  readonly choices: readonly ImageChoice[];
  /** Model, grey values, tiles, cache; absent until the window is put together. */
  readonly engine?: EngineModel;
  /** The images around this one. */
  readonly series?: SeriesModel;
  /** Who computes, e.g. "Encoder process · cpu (2 threads)". */
  readonly worker: string;
  /** Why no work outlives this page. */
  readonly unsaved?: string;
  /** What is not as fast or as usual as it could be, and why. */
  readonly notes: readonly string[];
}

export interface ImageChoice {
  readonly title: string;
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly title: string }[];
  choose(value: string): void;
}

/** Settings that most people never touch, folded away under "Options". */
const OPTIONS = new Set([
  'preservationThreshold',
  'hoverPreview',
  'autoSegment',
  'batched',
  'preserveMode',
  'iouThreshold',
  'boxExtension',
  'motionSmoothing',
]);

export interface PanelActions extends ControlActions, EngineActions {
  dismissMessage(): void;
  /** Rejects with a sentence for people. */
  connectWorker(url: string | undefined): Promise<unknown>;
}

export class Panel {
  private readonly title = make('h1');
  private readonly facts = make('p', { className: 'facts' });
  private readonly saved = make('p', { className: 'saved' });
  private readonly message = make('div', { className: 'message' });
  private readonly progress: ProgressList;
  private readonly action = make('button', { type: 'button', className: 'command primary action' });
  private readonly choices = make('div', { className: 'controls choices' });
  private choicesText = '';
  private readonly hint = make('p', { className: 'hint' });
  private readonly object = make('section', { className: 'object', 'aria-label': 'Current object' });
  private readonly objectTitle = make('h2');
  private readonly objectFacts = make('p', { className: 'facts' });
  private readonly candidates = make('div', { className: 'candidates', 'aria-label': 'Masks to choose from' });
  private readonly conflict = make('p', { className: 'conflict' });
  private readonly sections = make('div', { className: 'sections' });
  private readonly footer = make('footer');
  private readonly sectionViews = new Map<string, SectionView>();
  private readonly objects: ObjectList;
  private readonly tracks: TracksView;
  private readonly series: SeriesView;
  private readonly automatic: AutomaticView;
  private readonly imageSettings: ImageSettingsView;
  private readonly workerView: WorkerView;
  private shownMessage?: string;

  constructor(
    root: HTMLElement,
    private readonly actions: PanelActions,
  ) {
    this.progress = new ProgressList(actions);
    this.objects = new ObjectList(actions);
    this.tracks = new TracksView(actions);
    this.series = new SeriesView(actions);
    this.automatic = new AutomaticView(actions);
    this.imageSettings = new ImageSettingsView(actions);
    this.workerView = new WorkerView((url) => actions.connectWorker(url));
    this.footer.append(this.workerView.node);
    this.message.setAttribute('role', 'status');
    this.candidates.setAttribute('role', 'group');
    this.object.append(this.objectTitle, this.objectFacts, this.candidates, this.conflict);
    root.replaceChildren(
      make('header', {}, this.title, this.facts, this.saved),
      this.series.node,
      this.choices,
      this.progress.node,
      this.message,
      this.action,
      this.hint,
      this.object,
      this.sections,
      this.footer,
    );
  }

  render(model: PanelModel, state: SessionState, status: PanelStatus): void {
    setText(this.title, model.title || 'Segment Anything for Microscopy');
    this.title.title = model.title;
    setText(this.facts, model.facts.join(' · '));
    setText(this.saved, status.unsaved ?? model.saved ?? '');
    this.saved.dataset.state = status.unsaved ? 'failed' : (state.autosave ?? '');
    this.series.update(status.series);
    this.renderChoices(status.choices);
    this.renderMessage(model);
    this.action.hidden = status.action === undefined;
    setText(this.action, status.action?.title ?? '');
    this.action.onclick = () => status.action?.run();
    this.progress.update(model.progress);
    setText(this.hint, model.hint ?? '');
    this.hint.hidden = model.hint === undefined;
    this.renderObject(model);
    this.renderSections(model, state);
    this.tracks.update(model.tracks);
    this.objects.update(state.layers.committed_objects, state.editing);
    this.imageSettings.node.hidden = status.engine === undefined || !model.title;
    if (status.engine) this.imageSettings.update(status.engine);
    this.workerView.update(status.worker, status.notes);
  }

  private renderChoices(choices: readonly ImageChoice[]): void {
    this.choices.hidden = choices.length === 0;
    const text = JSON.stringify(choices);
    if (text === this.choicesText) return;
    this.choicesText = text;
    this.choices.replaceChildren(
      ...choices.map(({ title, value, options, choose }) => {
        const select = make('select', {}, ...options.map((o) => make('option', { value: o.value }, o.title)));
        select.value = value;
        select.addEventListener('change', () => choose(select.value));
        return make('label', { className: 'choice' }, make('span', {}, title), select);
      }),
    );
  }

  private renderMessage({ message }: PanelModel): void {
    this.message.hidden = message === undefined;
    if (message?.text === this.shownMessage) return;
    this.shownMessage = message?.text;
    this.message.replaceChildren();
    if (!message) return;
    const dismiss = make('button', { type: 'button', title: 'Dismiss' }, '×');
    dismiss.setAttribute('aria-label', 'Dismiss');
    dismiss.addEventListener('click', () => this.actions.dismissMessage());
    this.message.dataset.level = message.level;
    this.message.setAttribute('role', message.level === 'error' ? 'alert' : 'status');
    this.message.append(make('span', {}, message.text), dismiss);
  }

  private renderObject({ object, candidates, conflict }: PanelModel): void {
    this.object.hidden = object === undefined;
    if (!object) return;
    setText(this.objectTitle, object.title);
    setText(
      this.objectFacts,
      [object.extent, `${object.area.toLocaleString('en')} px`, object.score].filter(Boolean).join(' · '),
    );
    setText(this.conflict, conflict ?? '');
    this.conflict.hidden = conflict === undefined;
    this.candidates.hidden = candidates === undefined;
    const masks = candidates?.masks ?? [];
    while (this.candidates.children.length > masks.length) this.candidates.lastElementChild?.remove();
    masks.forEach((mask, index) => {
      let button = this.candidates.children[index] as HTMLButtonElement | undefined;
      if (!button) {
        button = make('button', { type: 'button' }, make('span'), make('small'));
        button.addEventListener('click', () => this.actions.run('choose_candidate', { index }));
        this.candidates.append(button);
      }
      setText(button.children[0] as HTMLElement, mask.title);
      setText(button.children[1] as HTMLElement, mask.score);
      button.title = `${mask.area.toLocaleString('en')} px, predicted IoU ${mask.score} (X: next)`;
      button.setAttribute('aria-pressed', String(index === candidates?.chosen));
    });
  }

  private renderSections(model: PanelModel, state: SessionState): void {
    const nodes = model.sections.map((section) => {
      let view = this.sectionViews.get(section.id);
      if (!view) {
        view = new SectionView(section, this.actions);
        if (section.id === 'image') view.node.append(this.imageSettings.node);
        if (section.id === 'commit') view.node.append(this.objects.node);
        if (section.id === 'tracks') view.node.append(this.tracks.node);
        this.sectionViews.set(section.id, view);
      }
      view.update(section, state);
      return view.node;
    });
    this.automatic.update(model.automatic);
    const before = model.sections.findIndex(({ id }) => id === 'commit');
    nodes.splice(before < 0 ? nodes.length : before, 0, this.automatic.node);
    setChildren(this.sections, nodes);
  }
}

class SectionView {
  readonly node: HTMLElement;
  private readonly heading = make('h2');
  private readonly body = make('div', { className: 'controls' });
  private readonly optionsBody = make('div', { className: 'controls' });
  private readonly options = make(
    'details',
    { className: 'options' },
    make('summary', {}, 'Options'),
    this.optionsBody,
  );
  private readonly views = new Map<string, ControlView>();

  constructor(
    section: PanelSection,
    private readonly actions: ControlActions,
  ) {
    this.node = make('section', { 'data-section': section.id }, this.heading, this.body, this.options);
  }

  update(section: PanelSection, state: SessionState): void {
    setText(this.heading, section.title);
    const plain: Node[] = [];
    const folded: Node[] = [];
    for (const control of section.controls) {
      if (!isUseful(control, state)) continue;
      const key = keyOf(control);
      let view = this.views.get(key);
      if (!view) {
        view = viewOf(control, this.actions);
        this.views.set(key, view);
      }
      view.update(control);
      (control.kind !== 'button' && OPTIONS.has(control.setting) ? folded : plain).push(view.node);
    }
    setChildren(this.body, plain);
    setChildren(this.optionsBody, folded);
    this.options.hidden = folded.length === 0;
  }
}

/** The size of the brush only matters with a brush in hand. */
function isUseful(control: PanelControl, state: SessionState): boolean {
  if (control.kind === 'button' || control.setting !== 'brushSize') return true;
  return state.settings.tool === 'brush' || state.settings.tool === 'eraser';
}
