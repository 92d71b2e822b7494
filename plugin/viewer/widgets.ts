/** Kaibu's control and list widgets and the sliders under the map. */
interface ControlElement {
  readonly type: 'button' | 'dropdown';
  readonly label: string;
  readonly tooltip?: string;
  readonly options?: readonly string[];
  readonly value?: string;
  readonly callback: (value?: string) => unknown;
}

interface ListElement {
  readonly label: string;
}

interface WidgetConfig {
  readonly type: string;
  readonly name?: string;
  readonly title?: string;
  readonly elements?: readonly (ControlElement & ListElement)[];
  /** Only the heading is shown until it is clicked. Not in Kaibu. */
  readonly collapsed?: boolean;
  readonly select_callback?: (element: ListElement) => unknown;
}

export class Widgets {
  readonly #root: HTMLElement;
  readonly #onError: (error: unknown) => void;

  constructor(root: HTMLElement, onError: (error: unknown) => void) {
    this.#root = root;
    this.#onError = onError;
  }

  add(config: WidgetConfig): object {
    const name = config.name ?? config.title ?? 'default';
    const section = document.createElement('details');
    section.open = config.collapsed !== true;
    section.className = 'widget';
    section.dataset.name = name;
    section.setAttribute('aria-label', name);
    const heading = document.createElement('h2');
    heading.textContent = name;
    const summary = document.createElement('summary');
    summary.append(heading);
    const body = document.createElement('div');
    section.append(summary, body);
    const old = [...this.#root.children].find((child) => child instanceof HTMLElement && child.dataset.name === name);
    if (old) old.replaceWith(section);
    else this.#root.append(section);
    switch (config.type) {
      case 'control': {
        body.className = 'control-widget';
        const set = (elements: readonly ControlElement[]) =>
          body.replaceChildren(...elements.map((e) => this.#control(e)));
        set(config.elements ?? []);
        const set_collapsed = (collapsed: boolean) => {
          section.open = !collapsed;
        };
        return { _rintf: true, set_elements: set, clear_elements: () => set([]), set_collapsed };
      }
      case 'list':
        body.className = 'list-widget';
        body.append(...(config.elements ?? []).map((element) => this.#item(element, config)));
        return {};
      default:
        section.remove();
        throw new Error(`Widgets of type "${config.type}" are not supported; use "control" or "list".`);
    }
  }

  select(name: string): void {
    const section = [...this.#root.children].find(
      (child) => child instanceof HTMLElement && child.dataset.name === name,
    );
    section?.scrollIntoView({ block: 'nearest' });
  }

  #control(element: ControlElement): HTMLElement {
    if (element.type === 'dropdown') {
      const select = document.createElement('select');
      select.setAttribute('aria-label', element.label);
      select.append(
        ...(element.options ?? []).map((option) => new Option(option, option, false, option === element.value)),
      );
      select.addEventListener('change', () => void this.#run(() => element.callback(select.value)));
      return select;
    }
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = element.label;
    button.title = element.tooltip ?? element.label;
    button.addEventListener('click', () => void this.#run(() => element.callback()));
    return button;
  }

  #item(element: ListElement, config: WidgetConfig): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = element.label;
    button.addEventListener('click', () => void this.#run(() => config.select_callback?.(element)));
    return button;
  }

  async #run(callback: () => unknown): Promise<void> {
    try {
      await callback();
    } catch (error) {
      this.#onError(error);
    }
  }
}

export interface SliderConfig {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly value?: number;
  readonly change_callback?: (value: number) => unknown;
}

interface ShownSlider {
  readonly config: SliderConfig;
  readonly input: HTMLInputElement;
  /** The same as a number, to be typed. */
  readonly number: HTMLInputElement;
  readonly count: HTMLElement;
}

export class Sliders {
  readonly #root: HTMLElement;
  #sliders: ShownSlider[] = [];

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  set(configs: readonly SliderConfig[]): void {
    this.#sliders = configs.map((config) => {
      const input = document.createElement('input');
      input.type = 'range';
      input.min = String(config.min);
      input.max = String(config.max);
      input.step = String(config.step ?? 1);
      input.value = String(config.value ?? config.min);
      const number = document.createElement('input');
      number.type = 'number';
      number.min = String(config.min + first(config));
      number.max = String(config.max + first(config));
      number.setAttribute('aria-label', `Number of ${config.name}`);
      const count = document.createElement('span');
      const slider = { config, input, number, count };
      input.addEventListener('input', () => this.#moved(slider));
      number.addEventListener('change', () => this.#typed(slider));
      show(slider);
      return slider;
    });
    this.#root.hidden = this.#sliders.length === 0;
    this.#root.replaceChildren(
      ...this.#sliders.map(({ config, input, number, count }) => {
        const label = document.createElement('label');
        label.title = 'Keys: [ and ]; the wheel with Shift';
        const name = document.createElement('span');
        name.textContent = config.name;
        label.append(name, input, number, count);
        return label;
      }),
    );
  }

  /** As in Kaibu, an update from outside fires no callback. */
  update(name: string, value: number): void {
    const slider = this.#sliders.find(({ config }) => config.name === name);
    if (!slider) throw new Error(`Slider "${name}" not found`);
    slider.input.value = String(value);
    show(slider);
  }

  /** Moves the first slider; false if there is none. */
  step(by: number): boolean {
    const slider = this.#sliders[0];
    if (!slider) return false;
    const before = slider.input.value;
    slider.input.value = String(slider.input.valueAsNumber + by * Number(slider.input.step));
    if (slider.input.value !== before) this.#moved(slider);
    return true;
  }

  #typed(slider: ShownSlider): void {
    const { config, input, number } = slider;
    const before = input.value;
    if (Number.isFinite(number.valueAsNumber)) input.value = String(number.valueAsNumber - first(config));
    if (input.value === before) show(slider);
    else this.#moved(slider);
  }

  #moved(slider: ShownSlider): void {
    show(slider);
    slider.config.change_callback?.(slider.input.valueAsNumber);
  }
}

function show({ config, input, number, count }: ShownSlider): void {
  number.value = String(input.valueAsNumber + first(config));
  count.textContent = `/ ${config.max + first(config)}`;
}

/** People count slices and frames from 1, as the annotator's panel does. */
function first({ min }: SliderConfig): number {
  return min === 0 ? 1 : 0;
}
