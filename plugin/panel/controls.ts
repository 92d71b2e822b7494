import type {
  PanelButton,
  PanelChoice,
  PanelControl,
  PanelRange,
  PanelToggle,
} from '../../src/presenter/panel/panel-controls.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import type { SessionSettings } from '../../src/session/state.js';
import { icon, keyCaps, make, setField, setText } from './dom.js';
import { TOOL_ICONS } from './icons.js';

/**
 * One element per control of the model, made once and then only updated: focus, an open menu and a slider being dragged
 * survive every new state.
 */
export interface ControlActions {
  run(command: CommandId, args?: unknown): void;
  set(settings: Partial<SessionSettings>): void;
}

export interface ControlView<C extends PanelControl = PanelControl> {
  readonly node: HTMLElement;
  update(control: C): void;
}

export function keyOf(control: PanelControl): string {
  return control.kind === 'button' ? control.command : control.setting;
}

export function viewOf(control: PanelControl, actions: ControlActions): ControlView {
  return makeView(control, actions) as ControlView;
}

function makeView(control: PanelControl, actions: ControlActions) {
  if (control.kind === 'button') return buttonView(control, actions);
  if (control.kind === 'toggle')
    return control.setting === 'positive' ? labelSwitch(actions) : toggleView(control, actions);
  if (control.kind === 'choice')
    return control.setting === 'tool' ? toolStrip(control, actions) : choiceView(control, actions);
  return rangeView(control, actions);
}

export function buttonView(first: PanelButton, actions: ControlActions): ControlView<PanelButton> {
  const title = make('span', { className: 'title' });
  const node = make('button', { type: 'button', className: 'command', 'data-command': first.command }, title);
  const [key] = first.keys;
  if (key !== undefined) node.append(keyCaps(key));
  // Also while it looks unavailable: what the hand did in the viewer just before may not have been heard of yet. A command
  // that cannot be done when its turn comes says why.
  node.addEventListener('click', () => actions.run(first.command));
  return {
    node,
    update(control) {
      const reason = control.enabled ? undefined : (control.reason ?? 'Not available now.');
      setText(title, control.title);
      node.title = reason === undefined ? control.tooltip : `${control.tooltip}\n${reason}`;
      node.classList.toggle('primary', control.primary);
      // Not `disabled`: a button that says why it cannot be used must stay reachable.
      node.setAttribute('aria-disabled', String(reason !== undefined));
    },
  };
}

/** Positive or negative: the two colours of the points are the two sides of the switch. */
function labelSwitch(actions: ControlActions): ControlView<PanelToggle> {
  const side = (positive: boolean, text: string, tooltip: string) => {
    const button = make(
      'button',
      { type: 'button', className: positive ? 'positive' : 'negative', title: tooltip },
      text,
    );
    button.addEventListener('click', () => actions.set({ positive }));
    return button;
  };
  const positive = side(true, 'Positive', 'Points lie in the object (T switches)');
  const negative = side(false, 'Negative', 'Points lie outside of the object (T switches)');
  const node = make(
    'div',
    { className: 'label-switch', role: 'group', 'aria-label': 'Point label' },
    positive,
    negative,
    keyCaps('T'),
  );
  return {
    node,
    update(control) {
      positive.setAttribute('aria-pressed', String(control.value));
      negative.setAttribute('aria-pressed', String(!control.value));
    },
  };
}

function toggleView(first: PanelToggle, actions: ControlActions): ControlView<PanelToggle> {
  const input = make('input', { type: 'checkbox' });
  const note = make('small', { className: 'note' });
  const node = make('label', { className: 'toggle', title: first.tooltip }, input, first.title, note);
  input.addEventListener('change', () => actions.set({ [first.setting]: input.checked }));
  return {
    node,
    update: (control) => {
      input.checked = control.value;
      setText(note, control.note ?? '');
      note.hidden = !control.note || !control.value;
    },
  };
}

function toolStrip(first: PanelChoice, actions: ControlActions): ControlView<PanelChoice> {
  const buttons = first.options.map(({ value, title, key }) => {
    const named = key ? `${title} (${key})` : title;
    const button = make('button', { type: 'button', title: named, 'data-tool': value });
    button.append(TOOL_ICONS[value] ? icon(TOOL_ICONS[value]) : title, make('span', {}, title));
    button.addEventListener('click', () => actions.set({ [first.setting]: value }));
    return button;
  });
  const node = make('div', { className: 'tools', role: 'group', 'aria-label': first.title }, ...buttons);
  return {
    node,
    update(control) {
      for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.tool === control.value));
    },
  };
}

function choiceView(first: PanelChoice, actions: ControlActions): ControlView<PanelChoice> {
  const select = make('select', {}, ...first.options.map(({ value, title }) => make('option', { value }, title)));
  const node = make('label', { className: 'choice', title: first.tooltip }, make('span', {}, first.title), select);
  select.addEventListener('change', () => actions.set({ [first.setting]: select.value }));
  return {
    node,
    update: (control) => {
      select.value = control.value;
    },
  };
}

function rangeView(first: PanelRange, actions: ControlActions): ControlView<PanelRange> {
  const limits = { min: String(first.min), max: String(first.max), step: String(first.step) };
  const input = make('input', { type: 'range', ...limits });
  const number = make('input', { type: 'number', 'aria-label': `${first.title}, as a number`, ...limits });
  const node = make(
    'label',
    { className: 'range', title: first.tooltip },
    make('span', {}, first.title),
    input,
    number,
  );
  const send = (value: number) => {
    if (Number.isFinite(value)) actions.set({ [first.setting]: Math.min(Math.max(value, first.min), first.max) });
  };
  input.addEventListener('input', () => {
    number.value = input.value;
    send(input.valueAsNumber);
  });
  number.addEventListener('change', () => send(number.valueAsNumber));
  return {
    node,
    update(control) {
      if (document.activeElement !== input || !input.matches(':active')) input.value = String(control.value);
      setField(number, String(control.value));
    },
  };
}
