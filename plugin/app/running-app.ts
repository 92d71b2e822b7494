import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { displayOptions } from '../../src/app/display.js';
import type { Engine } from '../../src/app/engine.js';
import type { PageSettings } from '../../src/app/page-settings.js';
import type { PageStorage } from '../../src/app/storage.js';
import type { Workspace } from '../../src/app/workspace.js';
import type { Presenter } from '../../src/presenter/presenter.js';
import type { WorkerInfo } from '../../src/worker/sam-worker.js';
import type { WindowPlace } from '../kaibu/kaibu-viewer.js';
import type { Panel } from '../panel/panel.js';
import { watchVisibility } from '../panel/visibility.js';
import type { UntilHeard } from '../until-heard.js';
import { appCommands } from './app-commands.js';
import { channelChoices } from './channel-choices.js';
import { Opener } from './opener.js';
import { recordingChoices } from './recording-choices.js';
import { waysOn } from './saved-choices.js';
import { Training } from './training.js';
import { ViewerWindow } from './viewer-window.js';

export interface AppParts {
  readonly api: ImJoyApi;
  /** Where the panel is. */
  readonly root: HTMLElement;
  readonly workspace: Workspace;
  readonly panel: Panel;
  readonly hands: UntilHeard<(presenter: Presenter) => void>;
  readonly settings: PageSettings;
  readonly engine: Engine;
  readonly storage: PageStorage;
  /** Address of the viewer, and where its window goes. */
  readonly place: { readonly src: string } & WindowPlace;
}

/** The application of one window, with all its parts: worker, storage, session, viewer, panel, what opens and what trains. */
export class RunningApp {
  readonly workspace: Workspace;
  readonly engine: Engine;
  readonly storage: PageStorage;
  readonly opener: Opener;
  readonly training: Training;
  readonly view: ViewerWindow;
  private readonly panel: Panel;
  private readonly notes: readonly string[];
  /** What computes, for the panel's last lines; asked for again whenever it is another. */
  private workerInfo: WorkerInfo | undefined;

  constructor({ api, root, workspace, panel, hands, settings, engine, storage, place }: AppParts) {
    this.workspace = workspace;
    this.engine = engine;
    this.storage = storage;
    this.panel = panel;
    this.notes = [settings.viewerNote, settings.workerNote].filter((note) => note !== undefined);
    this.opener = new Opener({
      workspace,
      settings,
      engine,
      store: storage.store,
      attempt: (action) => this.attempt(action),
      onChanged: () => {
        this.redraw();
        this.training.consider();
      },
    });
    this.training = new Training({
      workspace,
      engine,
      settings,
      series: () => this.opener.series,
      onChanged: () => this.redraw(),
    });
    this.view = new ViewerWindow({
      api,
      session: workspace.session,
      place,
      hands,
      presented: {
        ...displayOptions(workspace),
        actions: appCommands({
          workspace,
          opener: this.opener,
          training: this.training,
          presenter: () => this.view.presenter,
          attempt: (action) => this.attempt(action),
        }),
        onFiles: (files) => this.opener.openFiles(files),
      },
      tiling: () => engine.tilesToShow,
      onChanged: () => this.redraw(),
    });
    watchVisibility(root, (visible) => this.view.collapseCommands(visible));
    this.askWorker();
  }

  /** What goes wrong is shown. */
  attempt(action: () => Promise<void> | undefined): void {
    action()?.catch((error) => {
      this.workspace.session.report(error);
      this.redraw();
    });
  }

  askWorker(): void {
    void this.engine.worker
      .info()
      .catch(() => undefined)
      .then((info) => {
        this.workerInfo = info;
        this.redraw();
      });
  }

  redraw(): void {
    const { workspace, engine, storage, view, workerInfo: info } = this;
    view.refreshTiles();
    if (!view.panel) return;
    const { series } = this.opener;
    const inSeries = series !== undefined;
    this.panel.render(view.panel, workspace.session.shown, {
      worker: info ? `${info.name} · ${info.runtime} · ${info.provider}` : 'Starting the model …',
      ...(storage.note && { unsaved: storage.note }),
      savedPlace: storage.place,
      notes: [...this.notes, ...(info?.note ? [info.note] : [])],
      choices: [
        ...recordingChoices(workspace, (chosen) => this.attempt(() => workspace.chooseView(chosen))),
        ...channelChoices(workspace),
      ],
      ...(series && { series: series.model }),
      engine: engine.model(),
      improver: this.training.improver?.panel(inSeries) ?? { ...(inSeries && { automatic: false }) },
      actions: [
        ...waysOn(workspace.saved, (action) => this.attempt(action)),
        ...(view.isGone ? [{ title: 'Reopen the viewer', run: () => void view.open() }] : []),
      ],
    });
  }
}
