import type { PanelProgress } from '../../src/presenter/panel/panel.js';
import type { ControlActions } from './controls.js';
import { make, setChildren, setText } from './dom.js';

/** What is being computed: one box for each task, with a button that stops it alone. */
export class ProgressList {
  readonly node = make('section', { className: 'tasks', 'aria-label': 'Progress' });
  private readonly views = new Map<number, ProgressView>();

  constructor(private readonly actions: ControlActions) {}

  update(tasks: readonly PanelProgress[]): void {
    this.node.hidden = tasks.length === 0;
    const ids = new Set(tasks.map(({ task }) => task));
    for (const id of this.views.keys()) if (!ids.has(id)) this.views.delete(id);
    const nodes = tasks.map((progress) => {
      const view = this.views.get(progress.task) ?? new ProgressView(progress.task, this.actions);
      this.views.set(progress.task, view);
      view.update(progress);
      return view.node;
    });
    setChildren(this.node, nodes);
  }
}

class ProgressView {
  readonly node: HTMLElement;
  private readonly title = make('span', { className: 'title' });
  private readonly bar = make('progress', { max: 1 });
  private readonly text = make('span', { className: 'text' });

  constructor(task: number, actions: ControlActions) {
    const cancel = make('button', { type: 'button' }, 'Cancel');
    cancel.addEventListener('click', () => actions.run('cancel', { task }));
    this.node = make('div', { className: 'progress' }, this.title, cancel, this.bar, this.text);
  }

  update({ title, fraction, text }: PanelProgress): void {
    setText(this.title, title);
    if (fraction === undefined) this.bar.removeAttribute('value');
    else this.bar.value = fraction;
    setText(this.text, text === title ? '' : text);
  }
}
