/** Making elements without a framework: properties are assigned, `aria-*`, `role` and `data-*` become attributes. */
type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], 'style' | 'dataset'>
> & { readonly [attribute: `aria-${string}` | `data-${string}`]: string };

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria|data)-|^role$/.test(name)) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children);
  return element;
}

/** Sets text only if it differs, so that screen readers and selections are left in peace. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a value in a field, unless somebody is typing in it. */
export function setField(input: HTMLInputElement, value: string): void {
  if (document.activeElement !== input) input.value = value;
}

/** Replaces the children only if the list differs. */
export function setChildren(element: HTMLElement, children: readonly Node[]): void {
  const same = element.childNodes.length === children.length && children.every((c, i) => element.childNodes[i] === c);
  if (!same) element.replaceChildren(...children);
}

/** A picture of 20 x 20 units drawn with strokes in the text's colour. */
export function icon(paths: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  svg.innerHTML = paths;
  return svg;
}

export function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** 'Ctrl+Shift+Z' as a key cap, with the Mac's signs on a Mac; a gesture ('Drag a prompt') as plain text. */
export function keyCaps(combination: string): HTMLElement {
  const parts = combination.split('+');
  if (parts.at(-1)?.includes(' ')) return make('span', { className: 'gesture' }, combination);
  const mac = /Mac|iP(hone|ad)/.test(navigator.platform);
  const text = mac ? parts.map((part) => MAC_SIGNS[part] ?? part).join('') : combination;
  return make('kbd', {}, text);
}

const MAC_SIGNS: Readonly<Record<string, string>> = { Ctrl: '⌘', Shift: '⇧', Alt: '⌥' };
