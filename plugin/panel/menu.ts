import { make } from './dom.js';

export interface MenuItem {
  readonly title: string;
  readonly detail?: string;
  choose(): void;
}

/** A modal sheet with a list to choose from, and whatever else it needs. Escape and a click beside it close it. */
export class Sheet {
  private readonly dialog: HTMLDialogElement;

  constructor(title: string, ...content: readonly Node[]) {
    const close = make('button', { type: 'button', className: 'close', title: 'Close' }, '×');
    close.setAttribute('aria-label', 'Close');
    close.addEventListener('click', () => this.close());
    this.dialog = make('dialog', { className: 'sheet' }, make('header', {}, make('h2', {}, title), close), ...content);
    this.dialog.setAttribute('aria-label', title);
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.close();
    });
    // Keys typed into the sheet are not commands of the annotator.
    this.dialog.addEventListener('keydown', (event) => event.stopPropagation());
    this.dialog.addEventListener('close', () => this.dialog.remove());
  }

  open(): void {
    document.body.append(this.dialog);
    this.dialog.showModal();
    // What the sheet is for has the focus, not the button that closes it.
    this.dialog.querySelector<HTMLElement>(':is(input, select, button, canvas):not(.close)')?.focus();
  }

  close(): void {
    this.dialog.close();
  }

  /** However it is closed. */
  onClose(listener: () => void): void {
    this.dialog.addEventListener('close', listener);
  }
}

export function menuList(items: readonly MenuItem[], afterwards: () => void): HTMLElement {
  return make(
    'div',
    { className: 'menu' },
    ...items.map(({ title, detail, choose }) => {
      const button = make('button', { type: 'button' }, make('span', { className: 'title' }, title));
      if (detail) button.append(make('span', { className: 'detail' }, detail));
      button.addEventListener('click', () => {
        afterwards();
        choose();
      });
      return button;
    }),
  );
}
