import { iconButton, labelled, numberFor, slider } from './controls.js';
import type { LayerStack } from './layer-stack.js';
import type { ViewerLayer } from './layers/layer.js';

const ICONS = {
  shown:
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12Z"/><circle cx="12" cy="12" r="3"/></svg>',
  hidden:
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 12s4 6 10 6 10-6 10-6M5 16l-2 2M12 18v3M19 16l2 2"/></svg>',
  up: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 14l6-6 6 6"/></svg>',
  down: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 10l6 6 6-6"/></svg>',
};

/** Names are for scripts too: `point_prompts` reads "Point prompts" here. */
function titleOf({ name }: ViewerLayer): string {
  const spaced = name.replaceAll('_', ' ');
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** The list of layers, topmost first: visibility, order, opacity, and what else a kind of layer offers. */
export class LayerList {
  readonly #root: HTMLElement;
  readonly #stack: LayerStack;
  /** One list entry per layer, kept while the layer lives, so that a slider in use is not replaced under the pointer. */
  readonly #items = new Map<ViewerLayer, Entry>();

  constructor(root: HTMLElement, stack: LayerStack) {
    this.#root = root;
    this.#stack = stack;
  }

  render(): void {
    const layers = this.#stack.layers.filter((layer) => layer.listed).reverse();
    for (const layer of this.#items.keys()) if (!layers.includes(layer)) this.#items.delete(layer);
    const items = layers.map((layer, index) => {
      const entry = this.#items.get(layer) ?? makeEntry(layer, this.#stack);
      this.#items.set(layer, entry);
      entry.update(layer === this.#stack.selected, index === 0, index === layers.length - 1);
      return entry.element;
    });
    const focused = document.activeElement;
    this.#root.replaceChildren(...items);
    if (focused instanceof HTMLElement && this.#root.contains(focused)) focused.focus();
  }
}

interface Entry {
  readonly element: HTMLLIElement;
  update(selected: boolean, first: boolean, last: boolean): void;
}

function makeEntry(layer: ViewerLayer, stack: LayerStack): Entry {
  const element = document.createElement('li');
  const row = document.createElement('div');
  row.className = 'layer-row';
  const eye = iconButton(ICONS.shown, '', () => layer.ol.setVisible(!layer.ol.getVisible()));
  const name = document.createElement('button');
  name.type = 'button';
  name.className = 'layer-name';
  const title = titleOf(layer);
  name.textContent = title;
  name.title = layer.name;
  const up = iconButton(ICONS.up, `Move ${title} up`, () => stack.move(layer, 1));
  const down = iconButton(ICONS.down, `Move ${title} down`, () => stack.move(layer, -1));
  row.append(eye, name, up, down);

  const options = document.createElement('div');
  options.className = 'layer-options';
  const opacity = slider({ min: 0, max: 1, step: 0.05, value: layer.ol.getOpacity() }, (value) =>
    layer.ol.setOpacity(value),
  );
  const exact = numberFor(opacity, `Opacity of ${title}`);
  layer.ol.on('change:opacity', () => {
    opacity.set(layer.ol.getOpacity());
    exact.set(layer.ol.getOpacity());
  });
  const field = labelled('Opacity', opacity.element);
  field.append(exact.element);
  options.append(field);
  const extra = layer.options?.();
  if (extra) options.append(extra);
  element.append(row, options);

  // Which layer draws is left to the tool in hand: a look at another layer's settings must not make the next click be lost.
  name.addEventListener('click', () => setOpen(!element.classList.contains('open')));
  const setOpen = (open: boolean) => {
    element.classList.toggle('open', open);
    name.setAttribute('aria-expanded', String(open));
  };
  setOpen(layer.type === '2d-image');
  const showVisible = () => {
    const visible = layer.ol.getVisible();
    eye.innerHTML = visible ? ICONS.shown : ICONS.hidden;
    eye.setAttribute('aria-pressed', String(visible));
    eye.title = `${visible ? 'Hide' : 'Show'} ${title}`;
    eye.setAttribute('aria-label', eye.title);
    element.classList.toggle('off', !visible);
  };
  layer.ol.on('change:visible', showVisible);
  showVisible();
  return {
    element,
    update(selected, first, last) {
      element.classList.toggle('selected', selected);
      name.setAttribute('aria-current', String(selected));
      up.disabled = first;
      down.disabled = last;
    },
  };
}
