import { make } from './dom.js';

export interface MenuItem {
  readonly title: string;
  readonly detail?: string;
  choose(): void;
}

/** The one that is open: another takes its place, since keys are still heard from the viewer beside it. */
let shown: Sheet | undefined;

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
    this.dialog.addEventListener('keydown', (event) => {
      event.stopPropagation(); // keys typed into the sheet are not commands of the annotator
      if (event.key !== 'Escape') return;
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener('close', () => {
      this.dialog.remove();
      if (shown === this) shown = undefined;
    });
  }

  open(): void {
    shown?.close();
    shown = this;
    document.body.append(this.dialog);
    this.dialog.showModal();
    // What the sheet is for has the focus, not the button that closes it.
    this.dialog.querySelector<HTMLElement>(':is(input, select, button, canvas):not(.close)')?.focus();
  }

  close(): void {
    const { activeElement } = document;
    this.dialog.close();
    // Else it keeps the focus until the page is painted anew, and keys that follow at once are typed into it.
    if (activeElement instanceof HTMLElement && this.dialog.contains(activeElement)) activeElement.blur();
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
