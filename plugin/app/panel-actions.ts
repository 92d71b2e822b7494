import type { Workspace } from '../../src/app/workspace.js';
import type { Presenter } from '../../src/presenter/presenter.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import { handTime } from '../hand-time.js';
import type { PanelActions } from '../panel/panel.js';
import type { UntilHeard } from '../until-heard.js';
import type { RunningApp } from './running-app.js';

export interface PanelHands {
  readonly workspace: Workspace;
  /** Told what is for the presenter, in its order. */
  readonly hands: UntilHeard<(presenter: Presenter) => void>;
  readonly whenRunning: Promise<RunningApp>;
  /** Called when more intensities are known. */
  onMeasured(): void;
}

/** What hands do in the panel. What needs more than the session waits until the application is put together. */
export function panelActions({ workspace, hands, whenRunning, onMeasured }: PanelHands): PanelActions {
  const { session } = workspace;
  /** What goes wrong is shown. */
  const attempt = (act: (app: RunningApp) => Promise<void> | void) =>
    void whenRunning.then(
      (app) => app.attempt(async () => act(app)),
      () => undefined, // `run` has told it
    );
  const byHand = (id: CommandId, args?: unknown) => {
    const time = handTime();
    hands.tell((presenter) => presenter.runInOrder(time, id as 'pick_object', args as never));
  };
  return {
    run: byHand,
    set: (settings) => byHand('set_settings', settings),
    dismissMessage: () => session.notify(undefined),
    setEncoding: (change) => attempt(({ engine }) => engine.setEncoding(change)),
    addModel: (declaration) => attempt(({ engine }) => engine.addModel(declaration)),
    importModel: (files) => attempt(({ engine }) => engine.importAndUse(files)),
    deleteModel: (name) => attempt(({ engine }) => engine.deleteModel(name)),
    measure: () => attempt(({ engine }) => engine.measure()),
    showTiles: (shown) => attempt(({ engine }) => engine.showTiles(shown)),
    clearCache: () => attempt(({ engine }) => engine.clearCache()),
    connectWorker: async (url) => (await whenRunning).engine.connectWorker(url),
    wishOfTraining: (wish) => attempt(({ training }) => training.improver?.wish(wish)),
    takeTrained: () => attempt(({ training }) => training.improver?.take()),
    backToEarlier: () => attempt(({ training }) => training.improver?.goBack()),
    dismissTrained: () => attempt(({ training }) => training.improver?.dismiss()),
    improveByItself: (on) =>
      attempt(async ({ training }) => {
        (await training.improving()).setAutomatic(on);
        training.consider();
      }),
    intensities: (layer) => {
      const { intensities } = workspace.display ?? {};
      if (!intensities) return undefined;
      intensities.onMeasured = onMeasured;
      intensities.measure(layer);
      return (record) => intensities.mean(record);
    },
    failed: (error) => void session.report(error),
  };
}
