import { make, setChildren, setText } from './dom.js';

/** Where the model runs, at the foot of the panel; opened, it takes the address of another worker. */
export class WorkerView {
  readonly node: HTMLElement;
  private readonly title = make('summary', { className: 'worker' });
  private readonly notes = make('div');
  private readonly state = make('p', { className: 'note' });
  private readonly address = make('input', {
    type: 'text',
    placeholder: 'ws://127.0.0.1:9001/?token=…',
    spellcheck: false,
  });

  /** @param connect undefined: the page's own worker; rejects with a sentence for people */
  constructor(connect: (url: string | undefined) => Promise<unknown>) {
    this.address.setAttribute('aria-label', 'Address of a worker');
    const here = make('button', { type: 'button' }, 'Run in this page');
    const form = make('form', { className: 'address' }, this.address, make('button', { type: 'submit' }, 'Connect'));
    const use = (url: string | undefined) => {
      setText(this.state, 'Connecting …');
      connect(url).then(
        () => setText(this.state, ''),
        (error: unknown) => setText(this.state, error instanceof Error ? error.message : String(error)),
      );
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      use(this.address.value.trim());
    });
    here.addEventListener('click', () => use(undefined));
    this.node = make(
      'details',
      { className: 'worker-view' },
      this.title,
      make(
        'p',
        { className: 'note' },
        'Start a worker with "micro-sam worker", on this computer or a faster one, and give its address:',
      ),
      form,
      here,
      this.state,
      this.notes,
    );
  }

  update(worker: string, notes: readonly string[]): void {
    setText(this.title, worker);
    setChildren(
      this.notes,
      notes.map((text, i) => {
        const present = this.notes.children[i];
        return present?.textContent === text ? present : make('p', { className: 'note' }, text);
      }),
    );
  }
}
