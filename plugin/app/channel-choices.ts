import type { Workspace } from '../../src/app/workspace.js';
import type { ImageChoice } from '../panel/panel.js';

/** Which channels of the open image the model is given, for the panel; nothing where there is no choice. */
export function channelChoices(workspace: Workspace): ImageChoice[] {
  const { source, channels } = workspace;
  const choices: ImageChoice[] = [];
  if (source && !source.rgb && source.sizes.c > 1) {
    const single = source.channels.map(({ name }, index) => ({ value: String(index), title: name }));
    const together = source.sizes.c <= 3 ? [{ value: 'all', title: 'all, as colours' }] : [];
    choices.push({
      title: 'The model sees',
      value: workspace.linked ? 'shown' : channels === undefined ? 'all' : String(channels[0]),
      options: [{ value: 'shown', title: 'the channels that are shown (up to 3)' }, ...together, ...single],
      choose(value) {
        workspace.linked = value === 'shown';
        if (workspace.linked) return void workspace.followShown().catch(() => undefined);
        void workspace.chooseChannels(value === 'all' ? undefined : [Number(value)]).catch(() => undefined);
      },
    });
  }
  return choices;
}
