import type { EngineModel } from '../../src/app/engine.js';
import type { ImproverModel } from '../../src/app/improver.js';
import type { SeriesModel } from '../../src/app/series.js';
import { ALL_SAVED, type PanelModel } from '../../src/presenter/panel/panel.js';
import type { PanelTracks } from '../../src/presenter/panel/panel-tracks.js';
import type { Intensities } from '../../src/presenter/table/object-table.js';
import type { ObjectLayer, SessionState } from '../../src/session/state.js';
import { AutomaticView } from './automatic.js';
import { make, setChildren, setText } from './dom.js';
import type { EngineActions } from './image-settings.js';
import { type ImproveActions, ImproveView } from './improve.js';
import { LateDetails, LateView } from './late-view.js';
import type { ObjectTableView } from './object-table.js';
import { furtherViews } from './parts.js';
import { SectionView } from './section-view.js';
import { type UserAction, Workbench, type WorkbenchActions } from './workbench.js';
import { WorkerView } from './worker-view.js';

/**
 * The plugin's own window, drawn from the PanelModel: the workbench, which stays in view, and below it the sections, which
 * scroll and fold. Everything is made once and updated in place; what the user does goes out as command ids and settings.
 * Sections and controls it has never heard of are drawn too.
 */
export interface PanelStatus {
  readonly actions: readonly UserAction[];
  /** Choices of the image: its channels. */
  readonly choices: readonly ImageChoice[];
  /** Model, grey values, tiles, cache. */
  readonly engine: EngineModel;
  /** The images around this one. */
  readonly series?: SeriesModel;
  /** A model made better on one's own objects. */
  readonly improver: ImproverModel;
  /** Who computes, e.g. "Encoder process · cpu (2 threads)". */
  readonly worker: string;
  /** Where saved work is, as the end of "All work is saved …". */
  readonly savedPlace?: string;
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

export interface PanelActions extends WorkbenchActions, EngineActions, ImproveActions {
  /** Mean intensities of a layer's objects, as far as they are measured; undefined without an image. */
  intensities(layer: ObjectLayer): Intensities | undefined;
  /** Told why a part of the panel cannot be shown. */
  failed(error: unknown): void;
  /** Rejects with a sentence for people. */
  connectWorker(url: string | undefined): Promise<unknown>;
}

export class Panel {
  private readonly title = make('h1');
  private readonly facts = make('p', { className: 'facts' });
  private readonly saved = make('p', { className: 'saved' });
  private readonly choices = make('div', { className: 'controls choices' });
  private choicesText = '';
  private readonly workbench: Workbench;
  private readonly sections = make('div', { className: 'sections' });
  private readonly sectionViews = new Map<string, SectionView>();
  private readonly objects: LateDetails<SessionState>;
  private objectTable?: ObjectTableView;
  private readonly tracks: LateView<PanelTracks>;
  private readonly series: LateView<SeriesModel>;
  private readonly automatic: AutomaticView;
  private readonly improve: ImproveView;
  private readonly imageSettings: LateDetails<EngineModel>;
  private readonly workerView: WorkerView;

  constructor(
    root: HTMLElement,
    private readonly actions: PanelActions,
  ) {
    this.workbench = new Workbench(actions);
    const failed = (error: unknown) => actions.failed(error);
    const makeTable = async (details: HTMLDetailsElement) => {
      const { ObjectTableView } = await furtherViews();
      this.objectTable ??= new ObjectTableView(details, actions, (layer) => actions.intensities(layer));
      return this.objectTable;
    };
    this.objects = new LateDetails('object-list', makeTable, failed);
    this.tracks = new LateView(async () => new (await furtherViews()).TracksView(actions), failed);
    this.series = new LateView(async () => new (await furtherViews()).SeriesView(actions), failed);
    this.automatic = new AutomaticView(actions);
    this.improve = new ImproveView(actions);
    const makeSettings = async () => new (await furtherViews()).ImageSettingsView(actions);
    this.imageSettings = new LateDetails('options image-settings', makeSettings, failed);
    this.workerView = new WorkerView((url) => actions.connectWorker(url));
    const rest = make(
      'div',
      { className: 'rest' },
      this.series.node,
      this.sections,
      make('footer', {}, this.workerView.node),
    );
    root.replaceChildren(make('header', {}, this.title, this.facts, this.saved), this.workbench.node, rest);
  }

  render(model: PanelModel, state: SessionState, status: PanelStatus): void {
    setText(this.title, model.title || 'Segment Anything for Microscopy');
    this.title.title = model.title;
    setText(this.facts, model.facts.join(' · '));
    const saved = status.unsaved ?? placed(model.saved, status.savedPlace) ?? '';
    setText(this.saved, saved);
    this.saved.title = saved;
    this.saved.dataset.state = status.unsaved ? 'failed' : state.readOnly ? 'aside' : (state.autosave ?? '');
    this.series.update(status.series);
    this.renderChoices(status.choices);
    this.workbench.update(model, status.actions);
    this.renderSections(model);
    this.tracks.update(model.tracks);
    this.renderTable(state);
    this.imageSettings.node.hidden = !model.title;
    this.imageSettings.update('Model and image settings', status.engine);
    this.improve.update(model.title ? status.improver : undefined);
    this.workerView.update(status.worker, status.notes);
  }

  /** More intensities are known. */
  measured(): void {
    this.objectTable?.measured();
  }

  private renderTable(state: SessionState): void {
    const { committed_objects: committed, auto_segmentation: automatic } = state.layers;
    const { size: count } = committed.objects;
    this.objects.node.hidden = count + automatic.objects.size === 0;
    this.objects.update(`${count} committed ${count === 1 ? 'object' : 'objects'}`, state);
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

  private renderSections(model: PanelModel): void {
    const nodes: HTMLElement[] = model.sections.map((section) => {
      let view = this.sectionViews.get(section.id);
      if (!view) {
        view = new SectionView(section, this.actions);
        if (section.id === 'image') view.node.append(this.choices, this.imageSettings.node);
        if (section.id === 'commit') view.node.append(this.objects.node);
        if (section.id === 'tracks') view.node.append(this.tracks.node);
        this.sectionViews.set(section.id, view);
      }
      view.update(section);
      return view.node;
    });
    this.automatic.update(model.automatic);
    const before = model.sections.findIndex(({ id }) => id === 'commit');
    nodes.splice(before < 0 ? nodes.length : before, 0, this.automatic.node);
    const after = nodes.findIndex(({ dataset }) => dataset.section === 'commit');
    nodes.splice(after + 1, 0, this.improve.node);
    setChildren(this.sections, nodes);
  }
}

/** "All work is saved." with the place where it is. */
function placed(saved: string | undefined, place: string | undefined): string | undefined {
  return saved === ALL_SAVED && place ? `${saved.slice(0, -1)} ${place}.` : saved;
}
