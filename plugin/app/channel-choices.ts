import type { PageAnnotator } from '../../src/app/annotator.js';
import type { ImageChoice } from '../panel/panel.js';

/** Which channels of the open image the model is given, for the panel; nothing where there is no choice. */
export function channelChoices(annotator: PageAnnotator): ImageChoice[] {
  const { source, channels } = annotator;
  const choices: ImageChoice[] = [];
  if (source && !source.rgb && source.sizes.c > 1) {
    const single = source.channels.map(({ name }, index) => ({ value: String(index), title: name }));
    const together = source.sizes.c <= 3 ? [{ value: 'all', title: 'all, as colours' }] : [];
    choices.push({
      title: 'The model sees',
      value: annotator.linked ? 'shown' : channels === undefined ? 'all' : String(channels[0]),
      options: [{ value: 'shown', title: 'the channels that are shown (up to 3)' }, ...together, ...single],
      choose(value) {
        annotator.linked = value === 'shown';
        if (annotator.linked) return void annotator.followShown().catch(() => undefined);
        void annotator.chooseChannels(value === 'all' ? undefined : [Number(value)]).catch(() => undefined);
      },
    });
  }
  return choices;
}
