import type { PageAnnotator } from '../../src/app/annotator.js';
import type { RecordingView } from '../../src/io/recording.js';
import type { ImageChoice } from '../panel/panel.js';

/** How a recording with time and depth is annotated, for the panel; nothing for other images. */
export function recordingChoices(annotator: PageAnnotator, choose: (view: RecordingView) => void): ImageChoice[] {
  const { recording, session } = annotator;
  if (!recording) return [];
  const { view, times, slices } = recording;
  const { plane } = session.shown;
  const views: Readonly<Record<RecordingView['as'], RecordingView>> = {
    volume: { as: 'volume', t: view.as === 'volume' ? view.t : Math.min(plane, times - 1) },
    slice: { as: 'slice', z: view.as === 'slice' ? view.z : view.as === 'volume' ? Math.min(plane, slices - 1) : 0 },
    projection: { as: 'projection' },
  };
  return [
    {
      title: 'Time and depth',
      value: view.as,
      options: [
        { value: 'volume', title: 'a volume for each time point' },
        { value: 'slice', title: 'a time series of one slice' },
        { value: 'projection', title: 'a time series of the brightest over depth' },
      ],
      choose: (value) => choose(views[value as RecordingView['as']]),
    },
  ];
}
