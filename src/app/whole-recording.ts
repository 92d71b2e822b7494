import type { ImageSource } from '../io/image.js';
import { nameOfView, type RecordingView, viewOfRecording } from '../io/recording.js';
import type { RecordingExport } from '../io/results/export-recording.js';
import type { Store } from '../io/store.js';
import { prefixStore } from '../io/stores/prefix.js';
import { labelExport } from '../session/label-export.js';
import { needImage } from '../session/layers.js';
import { homeOf } from '../session/saving/home.js';
import { restore } from '../session/saving/restore.js';
import { nothingSaved } from '../session/saving/saved-fields.js';
import type { SessionState } from '../session/state.js';

/**
 * The committed objects of all time points of a recording that is annotated as volumes: of the one that is open as they are,
 * of all others as they were saved.
 *
 * @param whole the recording
 * @param pixels its signature
 */
export function wholeRecording(
  state: SessionState,
  { whole, source, pixels, store }: { whole: ImageSource; source: ImageSource; pixels: string; store: Store },
): RecordingExport {
  const image = needImage(state);
  const { sizes } = whole;
  return {
    name: image.name,
    times: sizes.t,
    shape: [sizes.z, sizes.y, sizes.x],
    pixelSize: source.pixelSize,
    async timePoint(t) {
      const view: RecordingView = { as: 'volume', t };
      const signature = `${pixels}-${nameOfView(view)}`;
      if (signature === image.signature) return labelExport(state, source);
      const there = { ...image, signature, recording: { times: sizes.t, slices: sizes.z, view } };
      const sessions = prefixStore(store, 'sessions');
      const found = await restore(sessions, await homeOf(sessions, there), there);
      const saved = found.state ?? nothingSaved();
      const settings = { ...state.settings, ...saved.settings };
      return labelExport({ ...state, ...saved, settings, image: there }, viewOfRecording(whole, view));
    },
  };
}
