import { listenToDrops } from '../dropped-files.js';
import { UntilHeard } from '../until-heard.js';

/**
 * Where ImJoy's windows go on the page: the viewer left and large, our panel right behind a divider, dialogs above.
 * imjoy-core only announces windows; it finds each by an element with its `window_id`, which must appear at once.
 */
const PANEL_WIDTH = { least: 250, usual: 340, most: 640 };
const WIDTH_KEY = 'micro-sam:panel-width';

export type WindowRole = 'viewer' | 'panel' | 'dialog';

export class Windows {
  private readonly drops = new UntilHeard<readonly File[]>();
  private readonly keys = new UntilHeard<KeyboardEvent>();

  /**
   * @param onMessage says something to people
   * @param signal ends what the page listens to
   */
  constructor(
    private readonly root: HTMLElement,
    onMessage: (text: string) => void,
    signal: AbortSignal,
  ) {
    this.setPanelWidth(Number(keptWidth()) || PANEL_WIDTH.usual);
    const pressed = (event: KeyboardEvent) => {
      if (event.target === document.body) this.passOn(event);
    };
    document.addEventListener('keydown', pressed, { signal });
    listenToDrops({ onFiles: (files) => this.drops.tell(files), onSlow: onMessage, onError: onMessage }, signal);
  }

  add(window: ImJoyWindow, role: WindowRole): void {
    document.getElementById('starting')?.remove();
    if (role !== 'dialog') this.root.querySelector(`.window.${role}`)?.remove();
    const element = document.createElement('section');
    element.className = `window ${role} loading`;
    element.setAttribute('aria-label', window.name);
    element.dataset.window = window.window_id;
    const frame = document.createElement('div');
    frame.className = 'frame';
    frame.id = window.window_id;
    // imjoy-core puts the iframe there, without a title.
    new MutationObserver(() => {
      const page = frame.querySelector('iframe');
      if (!page || page.title === window.name) return;
      page.title = window.name;
      page.addEventListener('load', () => this.loaded(element, role));
    }).observe(frame, { childList: true, subtree: true });
    element.append(frame);
    if (role === 'dialog') element.append(closeButton(window));
    this.root.append(element);
    if (role === 'panel' && !document.getElementById('divider')) this.root.append(this.divider());
  }

  remove(window: ImJoyWindow): void {
    this.root.querySelector(`[data-window="${CSS.escape(window.window_id)}"]`)?.remove();
  }

  /** From now on its page hears hands itself; until then what is dropped there falls on this page. */
  private loaded(element: HTMLElement, role: WindowRole): void {
    element.classList.remove('loading');
    if (role === 'panel' && !this.drops.heard) this.drops.on((files) => this.drop(files));
    if (role === 'viewer' && !this.keys.heard) this.keys.on((event) => this.passOn(event));
  }

  /** What was dropped beside the windows, or before they were there, is for the panel. */
  private drop(files: readonly File[]): void {
    const panel = this.root.querySelector<HTMLIFrameElement>('.window.panel iframe');
    const view = panel?.contentDocument?.defaultView;
    if (!view) return;
    // Made in the panel: files of this page's own class would be none to it.
    const dataTransfer = new view.DataTransfer();
    for (const file of files) {
      const { name, type, lastModified } = file;
      dataTransfer.items.add(new view.File([file], name, { type, lastModified }));
    }
    view.document.dispatchEvent(new view.DragEvent('drop', { dataTransfer }));
  }

  /** Keys pressed while nothing has the focus, as after opening or after a drop, are meant for the viewer. */
  private passOn(event: KeyboardEvent): void {
    const frame = this.root.querySelector<HTMLIFrameElement>('.window.viewer:not(.loading) iframe');
    if (!frame && !this.keys.heard) this.keys.tell(event);
    frame?.focus();
    // A viewer of another origin hears from the next key on.
    if (frame?.contentDocument?.dispatchEvent(new KeyboardEvent('keydown', event)) === false) event.preventDefault();
  }

  private setPanelWidth(width: number): void {
    const { least, most } = PANEL_WIDTH;
    const clamped = Math.round(Math.min(most, Math.max(least, width)));
    this.root.style.setProperty('--panel', `${clamped}px`);
    const divider = document.getElementById('divider');
    divider?.setAttribute('aria-valuenow', String(clamped));
    keptWidth(String(clamped));
  }

  private divider(): HTMLElement {
    const divider = document.createElement('div');
    divider.id = 'divider';
    divider.tabIndex = 0;
    divider.setAttribute('role', 'separator');
    divider.setAttribute('aria-orientation', 'vertical');
    divider.setAttribute('aria-label', 'Width of the panel');
    divider.setAttribute('aria-valuemin', String(PANEL_WIDTH.least));
    divider.setAttribute('aria-valuemax', String(PANEL_WIDTH.most));
    const width = () => Number.parseFloat(this.root.style.getPropertyValue('--panel'));
    divider.setAttribute('aria-valuenow', String(width()));
    divider.addEventListener('pointerdown', (event) => {
      divider.setPointerCapture(event.pointerId);
      this.root.classList.add('resizing');
    });
    divider.addEventListener('pointermove', (event) => {
      if (!divider.hasPointerCapture(event.pointerId)) return;
      this.setPanelWidth(this.root.getBoundingClientRect().right - event.clientX);
    });
    divider.addEventListener('lostpointercapture', () => this.root.classList.remove('resizing'));
    divider.addEventListener('dblclick', () => this.setPanelWidth(PANEL_WIDTH.usual));
    divider.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: 20, ArrowRight: -20 }[event.key];
      if (step === undefined) return;
      this.setPanelWidth(width() + step);
      event.preventDefault();
    });
    return divider;
  }
}

/** What was kept last, or from now on; a browser that keeps nothing for pages begins with the usual width each time. */
function keptWidth(width?: string): string | null {
  try {
    if (width !== undefined) localStorage.setItem(WIDTH_KEY, width);
    return localStorage.getItem(WIDTH_KEY);
  } catch {
    return null;
  }
}

function closeButton(window: ImJoyWindow): HTMLButtonElement {
  const button = document.createElement('button');
  button.className = 'close';
  button.textContent = 'Close';
  button.addEventListener('click', () => void window.close());
  return button;
}
