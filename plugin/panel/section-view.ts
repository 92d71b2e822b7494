import type { PanelControl, PanelSection } from '../../src/presenter/panel/panel-controls.js';
import { type ControlActions, type ControlView, keyOf, viewOf } from './controls.js';
import { make, setChildren, setText } from './dom.js';

/** Settings that most people never touch, folded away under "Options". */
const OPTIONS = new Set([
  'preservationThreshold',
  'hoverPreview',
  'autoSegment',
  'batched',
  'preserveMode',
  'iouThreshold',
  'boxExtension',
  'motionSmoothing',
]);

/** Controls that are made once and then only updated: focus and an open menu survive every new state. */
export class ControlList {
  readonly node: HTMLElement;
  private readonly views = new Map<string, ControlView>();

  constructor(
    className: string,
    private readonly actions: ControlActions,
  ) {
    this.node = make('div', { className });
  }

  update(controls: readonly PanelControl[]): void {
    const nodes = controls.map((control) => {
      const key = keyOf(control);
      const view = this.views.get(key) ?? viewOf(control, this.actions);
      this.views.set(key, view);
      view.update(control);
      return view.node;
    });
    setChildren(this.node, nodes);
  }
}

/** A part of the panel that is needed now and then: it folds, and stays as it was left. */
export class SectionView {
  readonly node: HTMLDetailsElement;
  private readonly heading = make('h2');
  private readonly controls: ControlList;
  private readonly optionControls: ControlList;
  private readonly options: HTMLElement;
  private folded?: boolean;

  constructor(section: PanelSection, actions: ControlActions) {
    this.controls = new ControlList('controls', actions);
    this.optionControls = new ControlList('controls', actions);
    this.options = make('details', { className: 'options' }, make('summary', {}, 'Options'), this.optionControls.node);
    this.node = make(
      'details',
      { className: 'section', 'data-section': section.id },
      make('summary', {}, this.heading),
    );
    this.node.append(this.controls.node, this.options);
  }

  update({ title, controls, folded = false }: PanelSection): void {
    setText(this.heading, title);
    if (folded !== this.folded) this.node.open = !folded;
    this.folded = folded;
    const isOption = (control: PanelControl) => control.kind !== 'button' && OPTIONS.has(control.setting);
    const options = controls.filter(isOption);
    this.controls.update(controls.filter((control) => !isOption(control)));
    this.optionControls.update(options);
    this.options.hidden = options.length === 0;
  }
}
