import type { Workspace } from '../../src/app/workspace.js';
import type { RecordingView } from '../../src/io/recording.js';
import type { ImageChoice } from '../panel/panel.js';

/** How a recording with time and depth is annotated, for the panel; nothing for other images. */
export function recordingChoices(workspace: Workspace, choose: (view: RecordingView) => void): ImageChoice[] {
  const { recording } = workspace;
  if (!recording) return [];
  return [
    {
      title: 'Time and depth',
      value: recording.view.as,
      options: [
        { value: 'volume', title: 'a volume for each time point' },
        { value: 'slice', title: 'a time series of one slice' },
        { value: 'projection', title: 'a time series of the brightest over depth' },
      ],
      choose: (value) => choose(viewFromHere(workspace, value as RecordingView['as'])),
    },
  ];
}

/** Where one is when it is chosen: the panel keeps a choice as it is while one goes from plane to plane. */
function viewFromHere({ recording, session }: Workspace, as: RecordingView['as']): RecordingView {
  const { plane } = session.shown;
  const view = recording?.view;
  if (view?.as === as) return view;
  if (as === 'volume') return { as, t: plane };
  if (as === 'slice') return { as, z: view?.as === 'volume' ? plane : 0 };
  return { as };
}
