import type {
  AutomaticSlider,
  PanelAutomatic,
  PanelLeftOut,
  PanelThorough,
} from '../../src/presenter/panel/panel-automatic.js';
import type { PanelButton, PanelRange } from '../../src/presenter/panel/panel-controls.js';
import type { AutomaticMode } from '../../src/segmentation/automatic-settings.js';
import type { PresetName } from '../../src/segmentation/presets.js';
import { buttonView, type ControlActions, type ControlView, viewOf } from './controls.js';
import { make, setChildren, setField, setText } from './dom.js';

/**
 * Automatic segmentation: one button until there is a result; then what was clicked, all that is left, and, folded away,
 * what counts as an object. A drag of a slider is one step of undo, however many values it goes through.
 */
export class AutomaticView {
  readonly node: HTMLElement;
  private readonly main = make('div', { className: 'controls' });
  private readonly text = make('p', { className: 'facts count' });
  private readonly where = make('select', { 'data-choice': 'where' });
  private readonly whereLabel: HTMLElement;
  private readonly merging = make('div', { className: 'controls' });
  private readonly proposal = make('div', { className: 'proposal', role: 'group', 'aria-label': 'Long computation' });
  private readonly proposalText = make('p', { className: 'facts' });
  private readonly proposalButtons = make('div', { className: 'controls' });
  private readonly smaller: HTMLButtonElement[] = [];
  private readonly chosen = make('div', { className: 'chosen' });
  private readonly chosenTitle = make('h3');
  private readonly chosenFacts = make('p', { className: 'facts' });
  private readonly chosenButtons = make('div', { className: 'controls' });
  private readonly rest = make('div', { className: 'controls' });
  private readonly conflict = make('p', { className: 'conflict' });
  private readonly sliders = make('div', { className: 'controls' });
  private readonly deeper = make('div', { className: 'controls' });
  private readonly modes = make('select', { 'data-choice': 'mode' });
  private readonly points = make('select', { 'data-choice': 'points' });
  private readonly kinds = make('select', { 'data-choice': 'kind' });
  private readonly kind: HTMLElement;
  private readonly thorough = make('div', { className: 'controls' });
  private readonly toggles = new Map<string, ThoroughView>();
  private readonly leftOut = make('details', { className: 'options', 'data-part': 'left-out' });
  private readonly leftOutTitle = make('summary');
  private readonly places = make('ul', { className: 'places' });
  private placesShown?: PanelLeftOut;
  private readonly how: HTMLElement;
  private readonly grid: HTMLElement;
  private readonly thresholds = make('details', { className: 'options', open: true });
  private readonly buttons = new Map<string, ControlView<PanelButton>>();
  private readonly settings = new Map<string, ControlView>();
  private readonly ranges = new Map<string, SliderView>();
  private readonly texts = new Map<HTMLSelectElement, string>();

  constructor(private readonly actions: ControlActions) {
    this.chosen.append(this.chosenTitle, this.chosenFacts, this.chosenButtons);
    this.thresholds.append(make('summary', {}, 'What counts as an object'), this.sliders);
    this.points.addEventListener('change', () =>
      actions.run('change_automatic', { pointsPerSide: Number(this.points.value) || null }),
    );
    this.modes.addEventListener('change', () =>
      actions.run('change_automatic', { mode: (this.modes.value || null) as AutomaticMode | null }),
    );
    this.kinds.addEventListener('change', () =>
      actions.run('change_automatic', { preset: (this.kinds.value || null) as PresetName | null }),
    );
    this.kind = make(
      'label',
      { className: 'choice', title: 'Settings that suit a kind of image. What was set by hand before is forgotten.' },
      make('span', {}, 'Image'),
      this.kinds,
    );
    this.leftOut.append(this.leftOutTitle, this.places);
    this.proposal.append(this.proposalText, this.proposalButtons);
    this.where.addEventListener('change', () => actions.set({ applyToVolume: this.where.value === 'all' }));
    this.whereLabel = make('label', { className: 'choice' }, make('span', {}, 'Where'), this.where);
    this.how = make(
      'label',
      {
        className: 'choice',
        title:
          'The model finds all objects at once; or one point for each, which is then outlined as a click is; or it is asked at a grid of points.',
      },
      make('span', {}, 'How'),
      this.modes,
    );
    this.grid = make(
      'label',
      {
        className: 'choice',
        title: 'The model is asked at a grid of points; small objects need a finer one, which takes longer.',
      },
      make('span', {}, 'Points'),
      this.points,
    );
    const options = make(
      'details',
      { className: 'options' },
      make('summary', {}, 'Search'),
      make('div', { className: 'controls' }, this.kind, this.how, this.grid, this.deeper),
      this.thorough,
    );
    this.node = make(
      'details',
      { 'data-section': 'automatic', className: 'section automatic', open: true },
      make('summary', {}, make('h2', {}, 'Automatic')),
      this.whereLabel,
      this.main,
      this.merging,
      this.proposal,
      this.text,
      this.chosen,
      this.rest,
      this.conflict,
      this.thresholds,
      this.leftOut,
      options,
    );
  }

  update(model: PanelAutomatic | undefined): void {
    this.node.hidden = model === undefined;
    if (!model) return;
    setChildren(this.main, this.buttonNodes([model.run, model.inBox]));
    this.whereLabel.hidden = model.where === undefined;
    this.fill(this.where, model.where);
    this.updateMerging(model.merging ?? []);
    this.updateProposal(model.proposal);
    show(this.text, model.text);
    this.chosen.hidden = model.chosen === undefined;
    setText(this.chosenTitle, model.chosen?.title ?? '');
    setText(this.chosenFacts, model.chosen?.facts ?? '');
    setChildren(this.chosenButtons, this.buttonNodes(model.chosen?.buttons ?? []));
    this.rest.hidden = model.acceptAll === undefined;
    setChildren(this.rest, this.buttonNodes([model.acceptAll]));
    show(this.conflict, model.conflict);
    this.thresholds.hidden = model.sliders === undefined;
    setChildren(
      this.sliders,
      (model.sliders ?? []).map((slider) => {
        let view = this.ranges.get(slider.threshold);
        if (!view) {
          view = new SliderView(slider, this.actions);
          this.ranges.set(slider.threshold, view);
        }
        view.update(slider);
        return view.node;
      }),
    );
    setChildren(this.deeper, this.buttonNodes([model.deeper]));
    this.how.hidden = model.modes === undefined;
    this.fill(this.modes, model.modes);
    this.kind.hidden = model.kinds === undefined;
    this.fill(this.kinds, model.kinds);
    this.updateThorough(model.thorough ?? []);
    this.updateLeftOut(model.leftOut);
    this.grid.hidden = model.points === undefined;
    this.fill(this.points, model.points);
  }

  private updateMerging(ranges: readonly PanelRange[]): void {
    this.merging.hidden = ranges.length === 0;
    const nodes = ranges.map((range) => {
      let view = this.settings.get(range.setting);
      if (!view) {
        view = viewOf(range, this.actions);
        this.settings.set(range.setting, view);
      }
      view.update(range);
      return view.node;
    });
    setChildren(this.merging, nodes);
  }

  private updateThorough(toggles: readonly PanelThorough[]): void {
    this.thorough.hidden = toggles.length === 0;
    const nodes = toggles.map((toggle) => {
      const view = this.toggles.get(toggle.setting) ?? new ThoroughView(toggle, this.actions);
      this.toggles.set(toggle.setting, view);
      view.update(toggle);
      return view.node;
    });
    setChildren(this.thorough, nodes);
  }

  /** A place that is pressed gets a point, which segments it as a click there does. */
  private updateLeftOut(leftOut: PanelLeftOut | undefined): void {
    this.leftOut.hidden = leftOut === undefined;
    if (!leftOut || JSON.stringify(leftOut) === JSON.stringify(this.placesShown)) return;
    this.placesShown = leftOut;
    setText(this.leftOutTitle, leftOut.title);
    const rows = leftOut.places.map(({ at, text }) => {
      const button = make('button', { type: 'button', className: 'command', title: 'Put a point there.' }, text);
      button.addEventListener('click', () => {
        const prompt = { kind: 'point', id: `left out ${at} ${Date.now()}`, plane: 0, at, positive: true } as const;
        this.actions.run('put_prompts', { prompts: [prompt], byHand: 'tool' });
      });
      return make('li', {}, button);
    });
    this.places.replaceChildren(...rows, ...(leftOut.more ? [make('li', { className: 'facts' }, leftOut.more)] : []));
  }

  private updateProposal(proposal: PanelAutomatic['proposal']): void {
    this.proposal.hidden = proposal === undefined;
    if (!proposal) return;
    setText(this.proposalText, proposal.text);
    const smaller = proposal.smaller.map(({ title, text }, i) => {
      this.smaller[i] ??= this.smallerButton(i);
      setText(this.smaller[i], `${title}: ${text}`);
      return this.smaller[i];
    });
    setChildren(this.proposalButtons, [
      ...this.buttonNodes([proposal.start]),
      ...smaller,
      ...this.buttonNodes([proposal.dismiss]),
    ]);
  }

  private smallerButton(index: number): HTMLButtonElement {
    const button = make('button', { type: 'button', className: 'command', 'data-smaller': String(index) });
    button.addEventListener('click', () => this.actions.run('run_proposed', { smaller: index }));
    return button;
  }

  private fill(select: HTMLSelectElement, choice: PanelAutomatic['modes'] | PanelAutomatic['points']): void {
    const text = JSON.stringify(choice);
    if (!choice || text === this.texts.get(select)) return;
    this.texts.set(select, text);
    select.replaceChildren(
      ...choice.options.map(({ value, title }) => make('option', { value: String(value) }, title)),
    );
    select.value = String(choice.value);
  }

  private buttonNodes(models: readonly (PanelButton | undefined)[]): Node[] {
    return models.flatMap((model) => {
      if (!model) return [];
      let view = this.buttons.get(model.command);
      if (!view) {
        view = buttonView(model, this.actions);
        this.buttons.set(model.command, view);
      }
      view.update(model);
      return view.node;
    });
  }
}

function show(element: HTMLElement, text: string | undefined): void {
  setText(element, text ?? '');
  element.hidden = text === undefined;
}

class ThoroughView {
  readonly node: HTMLElement;
  private readonly input = make('input', { type: 'checkbox' });

  constructor({ setting, title, tooltip }: PanelThorough, actions: ControlActions) {
    this.node = make('label', { className: 'toggle', title: tooltip }, this.input, title);
    this.input.setAttribute('data-thorough', setting);
    this.input.addEventListener('change', () => actions.run('change_automatic', { [setting]: this.input.checked }));
  }

  update({ value }: PanelThorough): void {
    this.input.checked = value;
  }
}

let gestures = 0;

class SliderView {
  readonly node: HTMLElement;
  private readonly input: HTMLInputElement;
  private readonly number: HTMLInputElement;
  private gesture = '';
  private wanted?: number;

  constructor(
    private readonly slider: AutomaticSlider,
    private readonly actions: ControlActions,
  ) {
    this.input = make('input', { type: 'range', 'data-threshold': slider.threshold });
    this.number = make('input', {
      type: 'number',
      step: 'any',
      placeholder: 'any',
      'aria-label': `${slider.title}, as a number`,
    });
    this.node = make(
      'label',
      { className: 'range', title: slider.tooltip },
      make('span', {}, slider.title),
      this.input,
      this.number,
      make('span', { className: 'unit' }, slider.unit),
    );
    this.newGesture();
    this.input.addEventListener('input', () => this.send());
    this.input.addEventListener('change', () => this.newGesture());
    this.number.addEventListener('change', () => this.sendNumber());
  }

  update({ min, max, step, value, number }: AutomaticSlider): void {
    const { input } = this;
    input.min = String(min);
    input.max = String(max);
    input.step = String(step);
    if (!input.matches(':active')) input.value = String(value);
    setField(this.number, number === undefined ? '' : String(number));
  }

  private newGesture(): void {
    this.gesture = `slider-${++gestures}`;
  }

  private sendNumber(): void {
    const { threshold } = this.slider;
    const typed = this.number.valueAsNumber;
    const value = Number.isFinite(typed) ? typed : threshold === 'maxObjectSize' ? Number.MAX_SAFE_INTEGER : undefined;
    if (value !== undefined) this.actions.run('change_automatic', { thresholds: { [threshold]: value } });
  }

  /** At most one change per frame: a quick hand makes more events than pictures can be shown. */
  private send(): void {
    const { gesture } = this;
    const idle = this.wanted === undefined;
    this.wanted = Number(this.input.value);
    if (!idle) return;
    requestAnimationFrame(() => {
      const at = this.wanted ?? 0;
      this.wanted = undefined;
      const { threshold, square, max } = this.slider;
      const unlimited = threshold === 'maxObjectSize' && at >= max;
      const value = unlimited ? Number.MAX_SAFE_INTEGER : square ? at * at : at;
      this.actions.run('change_automatic', { thresholds: { [threshold]: value }, gesture });
    });
  }
}
