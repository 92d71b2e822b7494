import { further } from '../../src/app/parts.js';
import { SAMPLES } from '../../src/app/samples.js';
import type { Workspace } from '../../src/app/workspace.js';
import { paletteModel } from '../../src/presenter/keys.js';
import type { Presenter } from '../../src/presenter/presenter.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import { loadObjects } from '../../src/session/loading/load-objects.js';
import { paletteSheet } from '../panel/palette-sheet.js';
import { furtherViews } from '../panel/parts.js';
import type { Opener } from './opener.js';
import { saveObjects, saveRecording } from './save.js';
import { openVersions } from './saved-choices.js';
import type { Training } from './training.js';

export interface CommandParts {
  readonly workspace: Workspace;
  readonly opener: Opener;
  readonly training: Training;
  /** Undefined while no viewer could be opened. */
  presenter(): Presenter | undefined;
  /** Does what is shown if it fails. */
  attempt(action: () => Promise<void> | undefined): void;
}

/** What the commands of scope `app` do in this window: most open a sheet of the panel. */
export function appCommands({
  workspace,
  opener,
  training,
  presenter,
  attempt,
}: CommandParts): Partial<Record<CommandId, () => void | Promise<void>>> {
  const { session } = workspace;
  return {
    open_image: async () => {
      const { openSheet } = await furtherViews();
      openSheet({
        openFiles: (files) => opener.openFiles(files),
        openUrl: (url) => void opener.open(url),
        samples: SAMPLES.map(({ title, detail }, index) => ({
          title,
          detail,
          choose: () => void opener.openSample(index),
        })),
      }).open();
    },
    load_objects: async () => {
      const { loadSheet } = await furtherViews();
      loadSheet(session.state.layers.committed_objects.objects.size, (files) =>
        attempt(async () => {
          if (await (await further()).takeTracks(session, files)) return;
          const [first, ...more] = files;
          if (first) await loadObjects(session, more.length === 0 ? first : files, first.name);
        }),
      ).open();
    },
    export_labels: async () => {
      const { saveSheet } = await furtherViews();
      saveSheet(
        (format) =>
          attempt(async () => {
            if (workspace.source) await saveObjects(format, session.state, workspace.source);
          }),
        workspace.recording?.view.as === 'volume'
          ? (format) =>
              attempt(async () => {
                const recording = await workspace.wholeRecording();
                if (recording) await saveRecording(format, recording);
              })
          : undefined,
      ).open();
    },
    show_in_3d: async () => {
      const { objects3dSheet } = await furtherViews();
      const { image } = session.state;
      const { sections } = workspace;
      if (image && sections)
        objects3dSheet(presenter()?.objectsInColour ?? [], { ...sections, size: image.size }).open();
    },
    earlier_versions: () => openVersions(session, workspace.saved, (action) => attempt(action)),
    improve_model: async () => {
      const { improveSheet } = await furtherViews();
      improveSheet({
        prospect: async (partial, signal) => (await training.improving()).prospect(partial, { signal }),
        start: (preset, partial) => attempt(async () => (await training.improving()).start(preset, partial)),
      }).open();
    },
    help: async () => (await furtherViews()).helpSheet().open(),
    command_palette: () =>
      paletteSheet(paletteModel(session.shown), (id) => void presenter()?.run(id as 'commit')).open(),
    next_image: () => opener.stepImage('next'),
    previous_image: () => opener.stepImage('previous'),
  };
}
