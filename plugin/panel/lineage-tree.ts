import type { LineageTree, TrackBar } from '../../src/presenter/panel/lineage-tree.js';

/**
 * The lineage tree, drawn: time to the right, a bar per track, a bracket from each mother to her daughters, a line at the
 * visible frame. A click on a bar goes to that track in that frame; with Shift it is chosen as the second one.
 */
export interface TreeActions {
  /** A bar was clicked; `frame` is the one under the pointer. */
  choose(bar: TrackBar, frame: number, second: boolean): void;
}

export interface TreeView {
  readonly tree: LineageTree;
  readonly plane: number;
  readonly current: number;
  /** Keys of chosen bars (`barKey`). */
  readonly chosen: readonly string[];
  color(bar: TrackBar): string;
}

const WIDTH = 300;
const ROW = 20;
const LEFT = 4;
const RIGHT = 34;
const TOP = 16;
const SVG = 'http://www.w3.org/2000/svg';

export function barKey({ layer, id }: Pick<TrackBar, 'layer' | 'id'>): string {
  return `${layer}:${id}`;
}

export class LineageTreeView {
  readonly node = element('svg', { class: 'lineage', role: 'group', 'aria-label': 'Lineage tree' });
  private shown = '';

  constructor(private readonly actions: TreeActions) {}

  update(view: TreeView): void {
    const text = JSON.stringify([view.tree, view.plane, view.current, view.chosen, view.tree.tracks.map(view.color)]);
    if (text === this.shown) return;
    this.shown = text;
    const { tree, plane } = view;
    const height = TOP + Math.max(1, tree.rows) * ROW + 4;
    this.node.setAttribute('viewBox', `0 0 ${WIDTH} ${height}`);
    const scale = (WIDTH - LEFT - RIGHT) / Math.max(1, tree.frames);
    const x = (frame: number) => LEFT + frame * scale;
    const y = (row: number) => TOP + row * ROW;
    const bars = new Map(tree.tracks.map((bar) => [barKey(bar), bar]));
    const now = element('rect', {
      class: 'now',
      x: x(plane),
      y: TOP - 4,
      width: Math.max(scale, 1.5),
      height: height - TOP + 2,
    });
    const label = element('text', { class: 'frame', x: Math.min(x(plane + 0.5), WIDTH - RIGHT), y: 9 });
    label.textContent = String(plane + 1);
    const brackets = tree.tracks.flatMap((bar) => {
      const mother = bar.mother === undefined ? undefined : bars.get(barKey({ layer: bar.layer, id: bar.mother }));
      if (!mother) return [];
      const from = x(mother.end + 1);
      const path = `M${from} ${y(mother.row)} V${y(bar.row)} H${Math.max(from, x(bar.begin))}`;
      return [element('path', { class: bar.empty ? 'bracket empty' : 'bracket', d: path })];
    });
    this.node.replaceChildren(now, label, ...brackets, ...tree.tracks.map((bar) => this.bar(bar, view, x, y)));
  }

  private bar(bar: TrackBar, view: TreeView, x: (frame: number) => number, y: (row: number) => number): SVGElement {
    const [from, to] = [x(bar.begin), x(bar.end + 1)];
    const top = y(bar.row);
    const color = view.color(bar);
    const classes = ['track', bar.layer === 'committed_objects' ? 'committed' : 'in-work'];
    if (bar.empty) classes.push('empty');
    if (view.chosen.includes(barKey(bar))) classes.push('chosen');
    if (bar.layer === 'current_object' && bar.id === view.current) classes.push('current');
    const group = element('g', { class: classes.join(' '), tabindex: 0, role: 'button', 'aria-label': describe(bar) });
    const title = element('title', {});
    title.textContent = describe(bar);
    const body = element('rect', {
      class: 'body',
      x: from,
      y: top - 4,
      width: Math.max(to - from, 3),
      height: 8,
      rx: 2,
      fill: bar.empty ? 'none' : color,
      stroke: color,
    });
    const hit = element('rect', { class: 'hit', x: from - 2, y: top - ROW / 2, width: to - from + RIGHT, height: ROW });
    const gaps = bar.gaps.map((frame) =>
      element('rect', { class: 'gap', x: x(frame), y: top - 5, width: x(frame + 1) - x(frame), height: 10 }),
    );
    const name = element('text', { class: 'name', x: Math.min(to, WIDTH - RIGHT) + 4, y: top + 4 });
    name.textContent = `${bar.id}${bar.how?.reason === 'lost' ? ' ✕' : ''}`;
    group.append(title, hit, body, ...gaps, name);
    const choose = (clientX: number | undefined, second: boolean) => {
      const box = this.node.getBoundingClientRect();
      const at = clientX === undefined ? from : ((clientX - box.left) / box.width) * WIDTH;
      const frame = Math.floor((at - x(0)) / (x(1) - x(0)));
      this.actions.choose(bar, Math.min(Math.max(frame, bar.begin), bar.end), second);
    };
    group.addEventListener('click', (event) => {
      if (event instanceof MouseEvent) choose(event.clientX, event.shiftKey);
    });
    group.addEventListener('keydown', (event) => {
      if (!(event instanceof KeyboardEvent)) return;
      const { key, shiftKey } = event;
      if (key !== 'Enter' && key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      choose(undefined, shiftKey);
    });
    return group;
  }
}

function describe({ id, layer, begin, end, empty, how, mother, gaps }: TrackBar): string {
  const frames = empty ? 'not marked yet' : begin === end ? `frame ${begin + 1}` : `frames ${begin + 1} to ${end + 1}`;
  return [
    `Track ${id}`,
    frames,
    mother === undefined ? '' : `daughter of ${mother}`,
    gaps.length > 0 ? `missing in ${gaps.length}` : '',
    how?.reason === 'lost' ? `lost in frame ${how.frame + 1}` : '',
    how?.reason === 'division' ? `divides in frame ${how.frame + 1}` : '',
    layer === 'committed_objects' ? 'committed' : 'in work',
  ]
    .filter(Boolean)
    .join(', ');
}

function element<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[Tag] {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}
