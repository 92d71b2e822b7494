import { SamError } from '../errors.js';
import type { RecordingView } from '../io/recording.js';
import type { ImageDisplay } from '../presenter/image/image-display.js';
import type { PresenterOptions } from '../presenter/presenter-options.js';
import type { Workspace } from './workspace.js';

/** What a presenter needs in order to show the image that is open: pictures, contrast controls, scale bar. */
export function displayOptions(
  workspace: Workspace,
): Pick<
  PresenterOptions,
  'readPixels' | 'renderer' | 'channels' | 'onChannel' | 'scale' | 'sections' | 'onOtherAxis' | 'valuesAt'
> {
  const display = (): ImageDisplay => {
    if (workspace.display) return workspace.display;
    throw new SamError('cancelled', 'The image was closed.');
  };
  /** What goes wrong is shown. */
  const tell = (work: Promise<void>) => {
    work.catch((error) => workspace.session.report(error));
  };
  return {
    readPixels: (_, plane) => display().picture(plane),
    renderer: (_, plane) => {
      const render = display().renderer(plane);
      return async (box, size) => {
        try {
          return await render(box, size);
        } catch (error) {
          workspace.session.report(error);
          throw error;
        }
      };
    },
    channels: () => workspace.display?.channels() ?? [],
    onChannel: (change) => {
      void workspace.display?.change(change, workspace.session.state.plane);
      if (change.visible !== undefined) tell(workspace.followShown());
    },
    onOtherAxis: (at) => {
      const { view } = workspace.recording ?? {};
      if (!view || view.as === 'projection') return;
      const next: RecordingView = view.as === 'volume' ? { as: 'volume', t: at } : { as: 'slice', z: at };
      tell(workspace.chooseView(next));
    },
    scale: () => {
      const { pixelSize } = workspace.source ?? {};
      return pixelSize && { size: pixelSize.x, unit: pixelSize.unit };
    },
    valuesAt: async (plane, at) => workspace.display?.values.at(plane, at) ?? [],
    sections: () => workspace.sections,
  };
}
