import { itemAt } from '../../src/items.js';
import type { PanelModel } from '../../src/presenter/panel/panel.js';
import type { PanelButton } from '../../src/presenter/panel/panel-controls.js';
import type { ControlActions } from './controls.js';
import { make, setChildren, setText } from './dom.js';
import { ProgressList } from './progress.js';
import { ControlList } from './section-view.js';

/**
 * What an annotator needs for every object, always in view and always at the same place: tools, what happens, the current
 * object, the steps. Messages and candidates have their room whether there are any or not, so that no button moves under
 * the hand.
 */
export interface WorkbenchActions extends ControlActions {
  dismissMessage(): void;
}

/** What only the user can do to go on, e.g. reopen a viewer that was closed. */
export interface UserAction {
  readonly title: string;
  run(): void;
}

/** Letters; longer ones are set smaller where there is little room. */
const LONG_HINT = 85;

export class Workbench {
  readonly node = make('section', { className: 'workbench', 'aria-label': 'Tools and current object' });
  private readonly tools: ControlList;
  /** What belongs to the tool in hand: it takes the room of what happens, and no button moves. */
  private readonly ofTool: ControlList;
  private readonly steps: ControlList;
  private readonly progress: ProgressList;
  private readonly message = make('div', { className: 'message', role: 'status' });
  private readonly hint = make('p', { className: 'hint' });
  private readonly waysOn = make('div', { className: 'ways-on' });
  private readonly object = make('section', { className: 'object', 'aria-label': 'Current object' });
  private readonly objectTitle = make('h2');
  private readonly objectFacts = make('p', { className: 'facts' });
  private readonly candidates = make('div', {
    className: 'candidates',
    role: 'group',
    'aria-label': 'Masks to choose from',
  });
  private readonly conflict = make('p', { className: 'conflict' });
  private shownMessage?: string;

  constructor(private readonly actions: WorkbenchActions) {
    this.tools = new ControlList('controls', actions);
    this.ofTool = new ControlList('controls of-tool', actions);
    this.steps = new ControlList('controls steps', actions);
    this.progress = new ProgressList(actions);
    this.object.append(this.objectTitle, this.objectFacts, this.candidates, this.conflict);
    this.node.append(
      this.tools.node,
      make('div', { className: 'news' }, this.ofTool.node, this.waysOn, this.progress.node, this.message, this.hint),
      this.object,
      this.steps.node,
    );
  }

  update(model: PanelModel, actions: readonly UserAction[]): void {
    this.tools.update(model.tools.filter(({ kind }) => kind !== 'range'));
    const ofTool = model.tools.filter(({ kind }) => kind === 'range');
    this.ofTool.update(ofTool);
    this.ofTool.node.hidden = ofTool.length === 0;
    this.steps.update(model.steps);
    this.renderActions(actions);
    this.progress.update(model.progress);
    this.renderMessage(model);
    setText(this.hint, model.hint ?? '');
    this.hint.classList.toggle('long', (model.hint?.length ?? 0) > LONG_HINT);
    this.hint.hidden = model.hint === undefined;
    this.renderObject(model);
  }

  private renderActions(actions: readonly UserAction[]): void {
    this.waysOn.hidden = actions.length === 0;
    const known = [...this.waysOn.children] as HTMLButtonElement[];
    const buttons = actions.map(({ title, run }, index) => {
      const button =
        known.find(({ textContent }) => textContent === title) ?? make('button', { type: 'button' }, title);
      button.className = index === 0 ? 'command primary action' : 'command action';
      button.onclick = run;
      return button;
    });
    setChildren(this.waysOn, buttons);
  }

  private renderMessage({ message, offer }: PanelModel): void {
    this.message.hidden = message === undefined;
    if (message?.text === this.shownMessage) return;
    this.shownMessage = message?.text;
    this.message.replaceChildren();
    if (!message) return;
    const dismiss = make('button', { type: 'button', title: 'Dismiss', 'aria-label': 'Dismiss' }, '×');
    dismiss.addEventListener('click', () => this.actions.dismissMessage());
    this.message.dataset.level = message.level;
    this.message.setAttribute('role', message.level === 'error' ? 'alert' : 'status');
    this.message.append(make('span', {}, message.text), ...(offer ? [this.offered(offer)] : []), dismiss);
  }

  /** What to do next, in the message itself. */
  private offered({ command, title, tooltip }: PanelButton): HTMLElement {
    const button = make('button', { type: 'button', className: 'offer', title: tooltip }, title);
    button.addEventListener('click', () => {
      this.actions.dismissMessage();
      this.actions.run(command);
    });
    return button;
  }

  private renderObject({ object, candidates, conflict }: PanelModel): void {
    this.object.classList.toggle('none', object === undefined);
    setText(this.objectTitle, object?.title ?? 'No current object');
    const facts = object && [object.extent, `${object.area.toLocaleString('en')} px`, object.score];
    setText(this.objectFacts, facts?.filter(Boolean).join(' · ') ?? '');
    setText(this.conflict, conflict ?? '');
    this.conflict.hidden = conflict === undefined;
    this.candidates.hidden = candidates === undefined;
    const masks = candidates?.masks ?? [];
    this.candidates.classList.toggle('four-masks', masks.length > 3);
    while (this.candidates.children.length > masks.length) this.candidates.lastElementChild?.remove();
    masks.forEach((mask, index) => {
      const button = this.candidates.children[index] ?? this.addCandidate(index);
      setText(itemAt(button.children, 0), mask.title);
      setText(itemAt(button.children, 1), mask.score);
      button.setAttribute('title', `${mask.area.toLocaleString('en')} px, model's confidence ${mask.score} (X: next)`);
      button.setAttribute('aria-pressed', String(index === candidates?.chosen));
    });
  }

  private addCandidate(index: number): HTMLElement {
    const button = make('button', { type: 'button' }, make('span'), make('small'));
    button.addEventListener('click', () => this.actions.run('choose_candidate', { index }));
    this.candidates.append(button);
    return button;
  }
}
