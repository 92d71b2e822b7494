import { itemAt, present } from '../../src/items.js';
import {
  COLUMNS,
  type Column,
  type Intensities,
  objectTable,
  rowOf,
  type TableOrder,
  type TableRow,
} from '../../src/presenter/table/object-table.js';
import { CLASSES, classNameOf } from '../../src/session/edits/facts.js';
import type { ObjectLayer, ObjectLayerName, SessionState } from '../../src/session/state.js';
import type { ControlActions } from './controls.js';
import { make, setChildren, setField, setText } from './dom.js';

const ROW_PX = 26;
/** Rows made beyond what can be seen, on either side. */
const SPARE = 6;

const HEADS: Readonly<Record<Column, readonly [title: string, tooltip: string]>> = {
  id: ['No.', 'Number of the object'],
  class: ['Class', 'Class, by the keys 1 to 9'],
  size: ['Size', 'Pixels, of all planes'],
  intensity: ['Mean', 'Mean intensity of the first channel, as the file has it'],
  score: ['Score', "The model's confidence"],
  name: ['Name', 'Name and comment'],
};

const LAYER_TITLES = { committed_objects: 'Committed', auto_segmentation: 'Automatic' } as const;

/**
 * The objects of a layer in a table that sorts and filters: a click selects here and in the view, Enter or a double click
 * takes an object up again. Only the rows in sight are made, so that ten thousand objects cost as much as twenty.
 */
export class ObjectTableView {
  readonly node: HTMLElement;
  private readonly layerChoice = make('select', { 'aria-label': 'Layer of the table' });
  private readonly filter = make('input', {
    type: 'search',
    placeholder: 'size > 200, score < 0.8, class = 2, flagged …',
    'aria-label': 'Filter the objects',
  });
  private readonly heads = make('div', { className: 'heads', role: 'row' });
  private readonly count = make('p', { className: 'facts' });
  private readonly grid = make('div', { className: 'grid', tabIndex: 0, role: 'grid', 'aria-label': 'Objects' });
  private readonly body = make('div', { className: 'body', role: 'presentation' });
  private readonly rowsNode = make('div', { className: 'objects', role: 'rowgroup' });
  private readonly facts: FactsForm;
  private order: TableOrder = { column: 'id', descending: true };
  private rows: readonly TableRow[] = [];
  private state?: SessionState;
  private layer: keyof typeof LAYER_TITLES = 'committed_objects';
  private shownLayer?: ObjectLayer;
  private intensity: Intensities = () => undefined;
  private selected = new Set<number>();
  private drawn = '';

  /** @param details what it is folded away in: only what is unfolded is made */
  constructor(
    private readonly details: HTMLDetailsElement,
    private readonly actions: ControlActions,
    private readonly measure: (layer: ObjectLayer) => Intensities | undefined,
  ) {
    this.facts = new FactsForm(actions);
    this.grid.setAttribute('aria-multiselectable', 'true');
    this.body.append(this.rowsNode);
    this.heads.append(...COLUMNS.map((column) => this.head(column)));
    this.grid.append(this.heads, this.body);
    this.node = make(
      'div',
      {},
      make('div', { className: 'table-tools' }, this.layerChoice, this.filter),
      this.grid,
      this.count,
      this.facts.node,
    );
    details.addEventListener('toggle', () => this.refresh());
    this.filter.addEventListener('input', () => this.refresh());
    this.layerChoice.addEventListener('change', () => {
      this.layer = this.layerChoice.value as keyof typeof LAYER_TITLES;
      this.refresh();
    });
    this.body.addEventListener('scroll', () => this.draw());
    this.grid.addEventListener('keydown', (event) => this.key(event));
  }

  update(state: SessionState): void {
    const before = this.state;
    this.state = state;
    const automatic = state.layers.auto_segmentation.objects.size;
    if (automatic === 0) this.layer = 'committed_objects';
    this.layerChoice.hidden = automatic === 0;
    if (this.layerChoice.children.length === 0)
      for (const [value, title] of Object.entries(LAYER_TITLES))
        this.layerChoice.append(make('option', { value }, title));
    this.layerChoice.value = this.layer;
    const selected = state.selected?.layer === this.layer ? state.selected.ids : [];
    const newest = selected.at(-1);
    const chosen = selected !== before?.selected?.ids && selected.some((id) => !this.selected.has(id));
    this.selected = new Set(selected);
    if (state.layers[this.layer] !== this.shownLayer || state.settings.classNames !== before?.settings.classNames)
      this.refresh();
    else this.draw();
    if (chosen && newest !== undefined && this.details.open) this.reveal(newest);
    this.facts.update(state);
  }

  /** More intensities are known. */
  measured(): void {
    if (this.details.open) this.refresh();
  }

  private refresh(): void {
    const { state } = this;
    if (!state) return;
    const layer = state.layers[this.layer];
    this.shownLayer = layer;
    if (!this.details.open) {
      this.rowsNode.replaceChildren();
      this.drawn = '';
      return;
    }
    this.intensity = this.measure(layer) ?? (() => undefined);
    const table = objectTable(layer, this.order, this.filter.value, this.intensity);
    this.rows = table.rows;
    setText(
      this.count,
      table.problem ?? (table.rows.length < table.total ? `${table.rows.length} of ${table.total}` : ''),
    );
    this.rowsNode.style.height = `${this.rows.length * ROW_PX}px`;
    this.grid.setAttribute('aria-rowcount', String(this.rows.length + 1));
    this.drawn = '';
    this.draw();
  }

  private draw(): void {
    if (!this.details.open || !this.state) return;
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW_PX) - SPARE);
    const last = Math.min(this.rows.length, first + Math.ceil(this.body.clientHeight / ROW_PX) + 2 * SPARE);
    const visible = this.rows.slice(first, last);
    const marks = visible.map(({ id }) => (this.selected.has(id) ? 's' : id === this.state?.editing ? 'e' : '')).join();
    const key = `${first}:${last}:${marks}:${this.layer}`;
    if (key === this.drawn) return;
    this.drawn = key;
    setChildren(
      this.rowsNode,
      visible.map((row, k) => this.row(row, first + k)),
    );
    const newest = visible.findLast(({ id }) => id === this.state?.selected?.ids.at(-1));
    if (newest) this.grid.setAttribute('aria-activedescendant', `row-${newest.id}`);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  private row(row: TableRow, index: number): HTMLElement {
    const { id, area, score, objectClass, name, comment, flagged } = row;
    const { settings, editing } = present(this.state, 'a state');
    const record = this.shownLayer?.objects.get(id);
    const mean = record && this.intensity(record);
    const cells: Readonly<Record<Column, string>> = {
      id: String(id),
      class: objectClass === undefined ? '' : classNameOf(objectClass, settings).replace(/^class /, ''),
      size: area.toLocaleString('en'),
      intensity: mean === undefined ? '' : String(Number(mean.toPrecision(4))),
      score: score === undefined ? '' : Math.min(1, Math.max(0, score)).toFixed(2),
      name: `${flagged ? '⚑ ' : ''}${[name, comment].filter(Boolean).join(' · ')}`,
    };
    const node = make('div', { className: 'row', 'data-id': String(id), role: 'row', id: `row-${id}` });
    node.setAttribute('aria-rowindex', String(index + 2)); // the heads are the first
    node.style.top = `${index * ROW_PX}px`;
    node.setAttribute('aria-selected', String(this.selected.has(id)));
    node.classList.toggle('editing', this.layer === 'committed_objects' && id === editing);
    for (const column of COLUMNS)
      node.append(make('span', { className: column, title: cells[column], role: 'gridcell' }, cells[column]));
    const committed = this.layer === 'committed_objects';
    const edit = make('button', { type: 'button', className: 'pick', title: 'Edit this object again' }, '✎');
    edit.setAttribute('aria-label', `Edit object ${id}`);
    edit.tabIndex = -1;
    edit.addEventListener('click', (event) => {
      event.stopPropagation();
      this.actions.run(committed ? 'pick_object' : 'choose_automatic', { id });
    });
    const remove = make('button', { type: 'button', className: 'remove', title: 'Delete this object' }, '×');
    remove.setAttribute('aria-label', `Delete object ${id}`);
    remove.tabIndex = -1;
    remove.addEventListener('click', (event) => {
      event.stopPropagation();
      this.actions.run('delete_object', { layer: this.layer, id });
    });
    node.append(make('span', { role: 'gridcell' }, edit), make('span', { role: 'gridcell' }, remove));
    node.addEventListener('click', (event) => this.choose(row, event));
    node.addEventListener('dblclick', () => committed && this.actions.run('pick_object', { id }));
    return node;
  }

  /** Shift takes all up to the last one, Ctrl one beside the others. */
  private choose(
    row: TableRow,
    { shiftKey, ctrlKey, metaKey }: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean },
  ) {
    const last = this.state?.selected?.ids.at(-1);
    const from = this.rows.findIndex(({ id }) => id === last);
    const to = this.rows.indexOf(row);
    const range = shiftKey && from >= 0 ? this.rows.slice(Math.min(from, to), Math.max(from, to) + 1) : [row];
    const how = shiftKey ? 'add' : ctrlKey || metaKey ? 'toggle' : 'replace';
    this.actions.run('select_objects', { layer: this.layer as ObjectLayerName, ids: range.map(({ id }) => id), how });
    const elsewhere = this.state && !this.state.layers[this.layer].objects.get(row.id)?.masks.has(this.state.plane);
    if (elsewhere) this.actions.run('set_plane', { plane: row.plane });
  }

  private key(event: KeyboardEvent): void {
    if (event.target instanceof HTMLButtonElement) return;
    const last = this.state?.selected?.ids.at(-1);
    const at = this.rows.findIndex(({ id }) => id === last);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined && this.rows.length > 0) {
      const row = itemAt(this.rows, Math.min(Math.max(at + step, 0), this.rows.length - 1));
      this.choose(row, { shiftKey: event.shiftKey, ctrlKey: false, metaKey: false });
      this.reveal(row.id);
    } else if (event.key === 'Enter' && last !== undefined && this.layer === 'committed_objects')
      this.actions.run('pick_object', { id: last });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private reveal(id: number): void {
    const at = this.rows.findIndex((row) => row.id === id);
    if (at < 0) return;
    const { scrollTop, clientHeight } = this.body;
    if (at * ROW_PX < scrollTop) this.body.scrollTop = at * ROW_PX;
    else if ((at + 1) * ROW_PX > scrollTop + clientHeight) this.body.scrollTop = (at + 1) * ROW_PX - clientHeight;
    this.draw();
  }

  private head(column: Column): HTMLElement {
    const [title, tooltip] = HEADS[column];
    const head = make('span', { role: 'columnheader' });
    const button = make('button', { type: 'button', className: column, title: `${tooltip}. Click to sort.` }, title);
    button.addEventListener('click', () => {
      const same = this.order.column === column;
      this.order = { column, descending: same ? !this.order.descending : column !== 'name' && column !== 'class' };
      for (const other of this.heads.children) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', this.order.descending ? 'descending' : 'ascending');
      this.refresh();
    });
    head.append(button);
    return head;
  }
}

/** Name, class, comment and flag of the selected objects. */
class FactsForm {
  readonly node: HTMLElement;
  private readonly title = make('h3');
  private readonly name = make('input', { type: 'text', maxLength: 200, 'aria-label': 'Name' });
  private readonly comment = make('input', { type: 'text', maxLength: 1000, 'aria-label': 'Comment' });
  private readonly objectClass = make('select', { 'aria-label': 'Class' });
  private readonly className = make('input', { type: 'text', maxLength: 100, 'aria-label': 'Name of the class' });
  private readonly flagged = make('input', { type: 'checkbox' });
  private state?: SessionState;
  private classesText = '';

  constructor(private readonly actions: ControlActions) {
    const row = (title: string, ...content: Node[]) =>
      make('label', { className: 'choice' }, make('span', {}, title), ...content);
    this.className.placeholder = 'call it …';
    this.node = make(
      'div',
      { className: 'object-facts' },
      this.title,
      row('Name', this.name),
      row('Class', this.objectClass, this.className),
      row('Comment', this.comment),
      make('label', { className: 'toggle' }, this.flagged, 'Flagged: look at it again'),
    );
    this.name.addEventListener('change', () => this.send({ name: this.name.value.trim() || null }));
    this.comment.addEventListener('change', () => this.send({ comment: this.comment.value.trim() || null }));
    this.objectClass.addEventListener('change', () =>
      this.send({ objectClass: Number(this.objectClass.value) || null }),
    );
    this.flagged.addEventListener('change', () => this.send({ flagged: this.flagged.checked }));
    this.className.addEventListener('change', () => this.rename());
  }

  update(state: SessionState): void {
    this.state = state;
    const { layer = 'committed_objects', ids = [] } = state.selected ?? {};
    const records = ids.flatMap((id) => state.layers[layer].objects.get(id) ?? []);
    const [first] = records;
    this.node.hidden = first === undefined;
    if (first === undefined) return;
    const { area, centroid } = rowOf(first);
    const place = `at y ${centroid[0].toFixed(1)}, x ${centroid[1].toFixed(1)}`;
    setText(
      this.title,
      records.length === 1
        ? `Object ${first.id} · ${area.toLocaleString('en')} px ${place}`
        : `${records.length} objects · ${records.reduce((sum, one) => sum + rowOf(one).area, 0).toLocaleString('en')} px`,
    );
    const text = JSON.stringify(state.settings.classNames);
    if (text !== this.classesText || this.objectClass.children.length === 0) {
      this.classesText = text;
      const options = CLASSES.map((n) =>
        make('option', { value: String(n) }, `${n} ${state.settings.classNames[n - 1] ?? ''}`),
      );
      this.objectClass.replaceChildren(make('option', { value: '' }, 'none'), ...options);
    }
    setField(this.name, first.name ?? '');
    setField(this.comment, first.comment ?? '');
    this.objectClass.value = String(first.objectClass ?? '');
    setField(this.className, state.settings.classNames[(first.objectClass ?? 0) - 1] ?? '');
    this.className.disabled = first.objectClass === undefined;
    this.flagged.checked = first.flagged ?? false;
  }

  private send(facts: Readonly<Record<string, unknown>>): void {
    if (this.state?.selected) this.actions.run('describe_objects', { facts, objects: this.state.selected });
  }

  private rename(): void {
    const { value } = this.objectClass;
    if (!this.state || !value) return;
    const names = [...this.state.settings.classNames];
    while (names.length < Number(value)) names.push('');
    this.actions.set({ classNames: names.with(Number(value) - 1, this.className.value.trim()) });
  }
}
