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
