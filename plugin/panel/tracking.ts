import { colorOf } from '../../src/presenter/colors.js';
import type { TrackBar } from '../../src/presenter/panel/lineage-tree.js';
import type { PanelTracks } from '../../src/presenter/panel/panel-tracks.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import type { ControlActions } from './controls.js';
import { keyCaps, make, setChildren, setText } from './dom.js';
import { barKey, LineageTreeView } from './lineage-tree.js';

/** The section "Tracks": which track prompts go to, what they say, and the lineage tree with its edits. */
export class TracksView {
  readonly node: HTMLElement;
  private readonly menu = make('select', { 'aria-label': 'Current track' });
  private readonly sides: readonly HTMLButtonElement[];
  private readonly ending = make('p', { className: 'ending' });
  private readonly tree: LineageTreeView;
  private readonly chosenText = make('p', { className: 'facts' });
  private readonly edits = make('div', { className: 'track-edits', role: 'group', 'aria-label': 'Edit tracks' });
  private chosen: TrackBar[] = [];
  private tracks?: PanelTracks;

  constructor(private readonly actions: ControlActions) {
    this.tree = new LineageTreeView({ choose: (bar, frame, second) => this.choose(bar, frame, second) });
    this.menu.addEventListener('change', () => actions.run('set_track', { id: Number(this.menu.value) }));
    const side = (state: 'track' | 'division', text: string, tooltip: string) => {
      const button = make('button', { type: 'button', className: state, title: tooltip, 'data-state': state }, text);
      button.addEventListener('click', () => actions.set({ trackState: state }));
      return button;
    };
    this.sides = [
      side('track', 'Track', 'The next prompts mark the cell itself (D switches)'),
      side('division', 'Division', 'The next prompts mark the frame where the cell has divided (D switches)'),
    ];
    const state = make(
      'div',
      { className: 'label-switch states', role: 'group', 'aria-label': 'Track state' },
      ...this.sides,
      keyCaps('D'),
    );
    const button = (id: CommandId, text: string, tooltip: string) => {
      const node = make('button', { type: 'button', title: tooltip, 'data-command': id }, text);
      node.addEventListener('click', () => actions.run(id));
      return node;
    };
    this.node = make(
      'div',
      { className: 'tracks' },
      make('label', { className: 'choice' }, make('span', {}, 'Current track'), this.menu),
      state,
      make(
        'div',
        { className: 'track-edits' },
        button('new_track', 'New track', 'Begin another track; those so far stay.'),
        button('divide_track', 'Divide here', 'The current track ends before this frame; two daughters begin in it.'),
        button('go_to_track_start', '⇤ First frame', 'Show the first frame of the current track.'),
        button('go_to_track_end', 'Last frame ⇥', 'Show the last frame of the current track.'),
      ),
      this.ending,
      make('div', { className: 'tree' }, this.tree.node),
      this.chosenText,
      this.edits,
    );
  }

  update(tracks: PanelTracks): void {
    this.tracks = tracks;
    const options = tracks.ids.map(({ id, title }) => {
      const known = [...this.menu.options].find(({ value }) => value === String(id));
      const option = known ?? make('option', { value: String(id) });
      setText(option, title);
      return option;
    });
    setChildren(this.menu, options);
    this.menu.value = String(tracks.current);
    this.menu.style.borderLeft = `4px solid ${tracks.ids.find(({ id }) => id === tracks.current)?.color ?? 'transparent'}`;
    for (const side of this.sides) side.setAttribute('aria-pressed', String(side.dataset.state === tracks.state));
    setText(this.ending, tracks.ending ?? '');
    this.ending.hidden = tracks.ending === undefined;
    const present = new Map(tracks.tree.tracks.map((bar) => [barKey(bar), bar]));
    this.chosen = this.chosen.flatMap((bar) => present.get(barKey(bar)) ?? []);
    this.draw(tracks);
  }

  private draw({ tree, plane, current }: PanelTracks): void {
    this.tree.update({ tree, plane, current, chosen: this.chosen.map(barKey), color: ({ id }) => colorOf(id) });
    this.tree.node.toggleAttribute('hidden', tree.tracks.length === 0);
    const [first, second] = this.chosen;
    const names = this.chosen.map(({ id }) => `track ${id}`).join(' and ');
    setText(this.chosenText, first ? `Chosen: ${names}${second ? '' : ' (Shift+click another one to join them)'}` : '');
    this.edits.replaceChildren(...(first ? (second ? this.pairEdits(first, second) : this.singleEdits(first)) : []));
  }

  private singleEdits(bar: TrackBar): HTMLElement[] {
    const { id, layer } = bar;
    const where = { id, layer };
    const buttons = [
      this.edit('split_track', 'Split here', where, 'From the visible frame on it becomes another track.'),
      this.edit('delete_track', 'Delete', where, 'Delete the track; daughters stay, without a mother.'),
    ];
    if (layer === 'committed_objects')
      buttons.unshift(this.edit('pick_object', 'Edit', { layer, id }, 'Take it up again, with its prompts.'));
    if (bar.mother !== undefined)
      buttons.push(
        this.edit('unlink_track', 'Unlink', { daughter: id, layer }, `No longer a daughter of track ${bar.mother}.`),
      );
    return buttons;
  }

  private pairEdits(first: TrackBar, second: TrackBar): HTMLElement[] {
    const { layer } = first;
    const ids = [first.id, second.id] as const;
    const [mother, daughter] = first.begin <= second.begin ? [first, second] : [second, first];
    return [
      this.edit('merge_tracks', 'Merge', { ids, layer }, 'One track of both; they must not share a frame.'),
      this.edit('swap_tracks', 'Swap from here', { ids, layer }, 'From the visible frame on they exchange objects.'),
      this.edit(
        'link_tracks',
        `Link ${daughter.id} to ${mother.id}`,
        { mother: mother.id, daughter: daughter.id, layer },
        'The later one becomes the daughter of the earlier one.',
      ),
    ];
  }

  private edit(id: CommandId, text: string, args: unknown, tooltip: string): HTMLElement {
    const button = make('button', { type: 'button', title: tooltip, 'data-command': id }, text);
    button.addEventListener('click', () => this.actions.run(id, args));
    return button;
  }

  private choose(bar: TrackBar, frame: number, second: boolean): void {
    const { tracks, actions } = this;
    if (!tracks) return;
    const [first] = this.chosen;
    const pairs = second && first && first.layer === bar.layer && first.id !== bar.id;
    this.chosen = pairs ? [first, bar] : [bar];
    if (!pairs) {
      if (frame !== tracks.plane) actions.run('set_plane', { plane: frame });
      if (bar.layer === 'current_object' && bar.id !== tracks.current) actions.run('set_track', { id: bar.id });
    }
    this.draw(this.tracks ?? tracks);
  }
}
