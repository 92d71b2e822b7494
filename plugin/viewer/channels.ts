import { present } from '../../src/items.js';
import { checkbox, labelled, type Slider, slider } from './controls.js';
import type { ChannelControl } from './protocol.js';

/**
 * Contrast, colour and visibility per channel. The viewer shows finished pictures, so it changes nothing itself: it tells
 * the owner, who sends the picture anew. Sliders in use are left alone when the owner confirms.
 */
export class ChannelControls {
  readonly #root: HTMLElement;
  #shown: { control: ChannelControl; update(control: ChannelControl): void }[] = [];

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  set(channels: readonly ChannelControl[]): void {
    const same =
      channels.length === this.#shown.length &&
      channels.every(({ name, range }, k) => {
        const shown = this.#shown[k]?.control;
        return shown?.name === name && shown.range[0] === range[0] && shown.range[1] === range[1];
      });
    if (same) {
      channels.forEach((control, k) => {
        this.#shown[k]?.update(control);
      });
      return;
    }
    const made = channels.map((control) => this.#make(control));
    this.#shown = made;
    this.#root.hidden = channels.length === 0;
    document.body.classList.toggle('has-channels', channels.length > 0);
    const heading = document.createElement('h2');
    heading.textContent = channels.length > 1 ? 'Channels' : 'Contrast';
    this.#root.replaceChildren(heading, ...made.map(({ element }) => element));
  }

  #make(first: ChannelControl) {
    let control = first;
    const step = (control.range[1] - control.range[0]) / (control.range[1] - control.range[0] > 255 ? 1000 : 255);
    const element = document.createElement('fieldset');
    element.className = 'channel';
    const header = document.createElement('legend');
    const visible = checkbox(control.name, control.visible, (on) => control.change_callback({ visible: on }));
    const box = present(visible.querySelector('input'), 'a box to check');
    header.append(visible);
    if (control.color) {
      const color = document.createElement('input');
      color.type = 'color';
      color.value = control.color;
      color.setAttribute('aria-label', `Colour of ${control.name}`);
      color.addEventListener('input', () => control.change_callback({ color: color.value }));
      header.append(color);
    }
    const limits = { min: control.range[0], max: control.range[1], step };
    const setLow = (value: number) =>
      control.change_callback({ limits: [Math.min(value, control.limits[1] - step), control.limits[1]] });
    const setHigh = (value: number) =>
      control.change_callback({ limits: [control.limits[0], Math.max(value, control.limits[0] + step)] });
    const low = slider({ ...limits, value: control.limits[0] }, setLow);
    const high = slider({ ...limits, value: control.limits[1] }, setHigh);
    const buttons = document.createElement('div');
    buttons.className = 'button-row';
    for (const [title, hint, change] of [
      ['Auto', 'Contrast from the 1st to the 99th percentile', { limits: 'auto' }],
      ['Full', 'Contrast over the whole range of values', { limits: control.range }],
    ] as const) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = title;
      button.title = hint;
      button.addEventListener('click', () => control.change_callback(change));
      buttons.append(button);
    }
    const black = withNumber('Black', low, setLow);
    const white = withNumber('White', high, setHigh);
    element.append(header, black.element, white.element, buttons);
    const update = (changed: ChannelControl) => {
      control = changed;
      box.checked = changed.visible;
      black.show(changed.limits[0]);
      white.show(changed.limits[1]);
      if (document.activeElement !== low.element) low.set(changed.limits[0]);
      if (document.activeElement !== high.element) high.set(changed.limits[1]);
    };
    update(first);
    return { control, element, update };
  }
}

/** A labelled slider, and its value in a box, which takes any number in between: the slider itself has steps. */
function withNumber(title: string, { element: input }: Slider, onValue: (value: number) => unknown) {
  const element = labelled(title, input);
  const number = document.createElement('input');
  number.type = 'number';
  number.className = 'value';
  number.step = Number(input.step) >= 1 ? '1' : 'any';
  for (const limit of ['min', 'max'] as const) number[limit] = input[limit];
  number.setAttribute('aria-label', `${title}, as a number`);
  number.addEventListener('change', () => {
    const value = number.valueAsNumber;
    if (Number.isFinite(value)) onValue(Math.min(Math.max(value, Number(input.min)), Number(input.max)));
  });
  element.append(number);
  return {
    element,
    show(shown: number): void {
      if (document.activeElement === number) return;
      number.value = String(Number(input.step) >= 1 ? Math.round(shown) : Number(shown.toPrecision(4)));
    },
  };
}
