import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { asSamError, SamError } from '../../src/errors.js';
import type { Tiling } from '../../src/ndimage/blocking.js';
import { type PanelModel, panelModel } from '../../src/presenter/panel/panel.js';
import { Presenter } from '../../src/presenter/presenter.js';
import type { PresenterOptions } from '../../src/presenter/presenter-options.js';
import type { AnnotationSession } from '../../src/session/session.js';
import { KaibuViewer, type WindowPlace } from '../kaibu/kaibu-viewer.js';
import type { UntilHeard } from '../until-heard.js';

export interface ViewerWindowOptions {
  readonly api: ImJoyApi;
  readonly session: AnnotationSession;
  /** Of the viewer, and where its window goes. */
  readonly place: { readonly src: string } & WindowPlace;
  /** What hands do in other windows, which is for the presenter. */
  readonly hands: UntilHeard<(presenter: Presenter) => void>;
  readonly presented: Omit<PresenterOptions, 'onPanel' | 'onClosed'>;
  /** Whose outlines are to be shown, if any. */
  readonly tiling: () => Tiling | undefined;
  readonly onChanged: () => void;
}

/**
 * The viewer's window with the presenter that shows the session in it. It may be impossible to open, and it may be closed:
 * then the session goes on, and the window can be opened again.
 */
export class ViewerWindow {
  /** Nothing is shown in a viewer: it could not be opened, or it was closed. */
  isGone = false;
  /** What the panel shows; undefined until the viewer is open, or is known not to open. */
  panel?: PanelModel;
  private opened?: OpenViewer;
  private commandsCollapsed = false;

  constructor(private readonly options: ViewerWindowOptions) {}

  get presenter(): Presenter | undefined {
    return this.opened?.presenter;
  }

  async open(): Promise<void> {
    const { api, session, place, hands, presented, onChanged } = this.options;
    this.presenter?.close();
    this.isGone = false;
    try {
      const viewer = await KaibuViewer.open(api, place);
      this.inViewer(viewer.collapseCommands(this.commandsCollapsed));
      const presenter = new Presenter(session, viewer, {
        ...presented,
        onPanel: (model) => {
          this.panel = model;
          onChanged();
        },
        onClosed: () => this.lost('The viewer was closed. Nothing is lost.'),
      });
      this.opened = { viewer, presenter };
      this.refreshTiles();
      if (!hands.heard) hands.on((act) => this.presenter && act(this.presenter));
    } catch (error) {
      this.lost(`The viewer could not be opened: ${asSamError(error).message}`);
    }
  }

  /** @throws SamError `unsupported` if no viewer is open, or this one has no such function */
  async screenshot(): Promise<Uint8Array> {
    const picture = await this.opened?.viewer.screenshot?.();
    if (picture) return picture;
    throw new SamError('unsupported', 'This viewer cannot take a picture of itself.');
  }

  collapseCommands(collapsed: boolean): void {
    this.commandsCollapsed = collapsed;
    this.inViewer(this.opened?.viewer.collapseCommands(collapsed));
  }

  /** Shows the tiles that are to be shown now, unless they are shown already. */
  refreshTiles(): void {
    const { opened } = this;
    const tiling = this.options.tiling();
    if (!opened || opened.tiling === tiling) return;
    opened.tiling = tiling;
    this.inViewer(opened.viewer.showTiles(tiling?.tiles.map(({ inner }) => inner) ?? []));
  }

  async close(): Promise<void> {
    this.presenter?.close();
    await this.opened?.viewer.close();
  }

  private lost(text: string): void {
    this.isGone = true;
    const { session, onChanged } = this.options;
    session.notify({ level: 'warning', text });
    // Without any presenter so far nobody draws the panel.
    if (!this.presenter) this.panel = panelModel(session.shown, { now: Date.now() });
    onChanged();
  }

  /** A viewer that cannot is none the worse. */
  private inViewer(done: Promise<void> | undefined): void {
    done?.catch(() => undefined);
  }
}

interface OpenViewer {
  readonly viewer: KaibuViewer;
  readonly presenter: Presenter;
  /** Whose outlines it was told to show; it is told of changes alone. */
  tiling?: Tiling | undefined;
}
