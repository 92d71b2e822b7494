import { areaOf } from '../../src/session/layers.js';
import type { ObjectLayer } from '../../src/session/state.js';
import type { ControlActions } from './controls.js';
import { make, setText } from './dom.js';

const SHOWN = 200;

/** The committed objects, newest first: a click edits one again, the cross deletes it. */
export class ObjectList {
  readonly node: HTMLElement;
  private readonly summary = make('summary');
  private readonly list = make('ul', { className: 'objects' });
  private layer?: ObjectLayer;
  private readonly details: HTMLDetailsElement;

  constructor(private readonly actions: ControlActions) {
    this.details = make('details', { className: 'object-list' }, this.summary, this.list);
    // Rows are made only while they can be seen: thousands of objects must not slow a commit down.
    this.details.addEventListener('toggle', () => this.fill());
    this.node = this.details;
  }

  update(layer: ObjectLayer, editing: number | undefined): void {
    if (layer !== this.layer) {
      this.layer = layer;
      const count = layer.objects.size;
      this.node.hidden = count === 0;
      setText(this.summary, `${count} committed ${count === 1 ? 'object' : 'objects'}`);
      this.fill();
    }
    for (const row of this.list.children)
      row.classList.toggle('editing', (row as HTMLElement).dataset.id === String(editing));
  }

  private fill(): void {
    if (!this.details.open || !this.layer) {
      this.list.replaceChildren();
      return;
    }
    const newest = [...this.layer.objects.values()].reverse();
    const rows = newest.slice(0, SHOWN).map((object) => {
      const edit = make('button', { type: 'button', className: 'pick', title: 'Edit this object again' });
      edit.append(`Object ${object.id}`, make('small', {}, `${areaOf(object).toLocaleString('en')} px`));
      edit.addEventListener('click', () => this.actions.run('pick_object', { id: object.id }));
      const remove = make('button', { type: 'button', className: 'remove', title: 'Delete this object' }, '×');
      remove.setAttribute('aria-label', `Delete object ${object.id}`);
      remove.addEventListener('click', () =>
        this.actions.run('delete_object', { layer: 'committed_objects', id: object.id }),
      );
      return make('li', { 'data-id': String(object.id) }, edit, remove);
    });
    if (newest.length > SHOWN) rows.push(make('li', { className: 'more' }, `and ${newest.length - SHOWN} older ones`));
    this.list.replaceChildren(...rows);
  }
}
