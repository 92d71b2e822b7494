import { SamError } from '../errors.js';
import type { RecordingView } from '../io/recording.js';
import type { ImageDisplay } from '../presenter/image/image-display.js';
import type { PresenterOptions } from '../presenter/presenter-options.js';
import type { PageAnnotator } from './annotator.js';

/** What a presenter needs in order to show the image that is open: pictures, contrast controls, scale bar. */
export function displayOptions(
  annotator: PageAnnotator,
): Pick<
  PresenterOptions,
  'readPixels' | 'renderer' | 'channels' | 'onChannel' | 'scale' | 'sections' | 'onOtherAxis' | 'valuesAt'
> {
  const display = (): ImageDisplay => {
    if (annotator.display) return annotator.display;
    throw new SamError('cancelled', 'The image was closed.');
  };
  /** What goes wrong is shown. */
  const tell = (work: Promise<void>) => {
    work.catch((error) => annotator.session.report(error));
  };
  return {
    readPixels: (_, plane) => display().picture(plane),
    renderer: (_, plane) => {
      const render = display().renderer(plane);
      return async (box, size) => {
        try {
          return await render(box, size);
        } catch (error) {
          annotator.session.report(error);
          throw error;
        }
      };
    },
    channels: () => annotator.display?.channels() ?? [],
    onChannel: (change) => {
      void annotator.display?.change(change, annotator.session.state.plane);
      if (change.visible !== undefined) tell(annotator.followShown());
    },
    onOtherAxis: (at) => {
      const { view } = annotator.recording ?? {};
      if (!view || view.as === 'projection') return;
      const next: RecordingView = view.as === 'volume' ? { as: 'volume', t: at } : { as: 'slice', z: at };
      tell(annotator.chooseView(next));
    },
    scale: () => {
      const { pixelSize } = annotator.source ?? {};
      return pixelSize && { size: pixelSize.x, unit: pixelSize.unit };
    },
    valuesAt: async (plane, at) => annotator.display?.values.at(plane, at) ?? [],
    sections: () => annotator.sections,
  };
}
