/** Small form controls, each with a label a screen reader can say. */
export interface Slider {
  readonly element: HTMLInputElement;
  set(value: number): void;
}

export function slider(
  range: { min: number; max: number; step: number; value: number },
  onInput: (value: number) => void,
): Slider {
  const element = document.createElement('input');
  element.type = 'range';
  element.min = String(range.min);
  element.max = String(range.max);
  element.step = String(range.step);
  element.value = String(range.value);
  element.addEventListener('input', () => onInput(element.valueAsNumber));
  return {
    element,
    set: (value) => {
      element.value = String(value);
    },
  };
}

/** A number box beside a slider, to type a known value. */
export function numberFor({ element: range }: Slider, label: string): Slider {
  const element = document.createElement('input');
  element.type = 'number';
  element.className = 'value';
  for (const name of ['min', 'max', 'step'] as const) element[name] = range[name];
  element.value = range.value;
  element.setAttribute('aria-label', label);
  element.addEventListener('change', () => {
    if (!Number.isFinite(element.valueAsNumber)) return;
    range.value = element.value;
    range.dispatchEvent(new Event('input'));
  });
  range.addEventListener('input', () => {
    element.value = range.value;
  });
  return {
    element,
    set: (value) => {
      if (document.activeElement !== element) element.value = String(value);
    },
  };
}

export function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  const label = document.createElement('label');
  label.className = 'field';
  const name = document.createElement('span');
  name.textContent = text;
  label.append(name, control);
  return label;
}

export function checkbox(text: string, checked: boolean, onChange: (checked: boolean) => void): HTMLLabelElement {
  const label = document.createElement('label');
  label.className = 'check';
  const input = document.createElement('input');
  input.type = 'checkbox';
  input.checked = checked;
  input.addEventListener('change', () => onChange(input.checked));
  label.append(input, text);
  return label;
}

export function iconButton(icon: string, title: string, onClick: () => void): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'icon';
  button.title = title;
  button.setAttribute('aria-label', title);
  button.innerHTML = icon;
  button.addEventListener('click', onClick);
  return button;
}
