import type { ImproverModel, Offer } from '../../src/app/improver.js';
import { itemAt } from '../../src/items.js';
import { timeLeft } from '../../src/presenter/panel/panel.js';
import type { ControlActions } from './controls.js';
import { make, setText } from './dom.js';

export interface ImproveActions extends ControlActions {
  wishOfTraining(wish: 'rest' | 'go on' | 'enough'): void;
  takeTrained(): void;
  backToEarlier(): void;
  dismissTrained(): void;
  improveByItself(on: boolean): void;
}

/** A model made better on one's own objects: the button, the training while it runs, and what it offers. */
export class ImproveView {
  readonly node: HTMLElement;
  private readonly start = make('button', { type: 'button', className: 'command', 'data-command': 'improve_model' });
  private readonly byItself = make('label', {
    className: 'toggle',
    title: 'A short training begins by itself when there are more objects to learn from; what comes of it is offered.',
  });
  private readonly byItselfBox = make('input', { type: 'checkbox' });
  private readonly running = make('div', { className: 'training', role: 'group', 'aria-label': 'Training' });
  private readonly text = make('p', { className: 'facts' });
  private readonly bar = make('progress', { max: 1 });
  private readonly left = make('p', { className: 'facts' });
  private readonly curve = make('canvas', { className: 'curve', width: 2 * CURVE[0], height: 2 * CURVE[1] });
  private readonly pause = make('button', { type: 'button', className: 'command', 'data-training': 'pause' });
  private readonly stop = make('button', { type: 'button', className: 'command', 'data-training': 'stop' });
  private readonly offered = make('div', { className: 'training offered', role: 'status' });
  private readonly offerText = make('p', { className: 'facts' });
  private readonly gains = make('ul', { className: 'gains' });
  private readonly pictures = make('div', { className: 'kept-back' });
  private shown: Offer['pictures'] = [];
  private readonly take = make('button', { type: 'button', className: 'command', 'data-training': 'take' });
  private readonly dismiss = make('button', { type: 'button', className: 'command', 'data-training': 'dismiss' });
  private readonly failure = make('p', { className: 'conflict' });
  private resting = false;
  private taken = false;
  private drawn = '';

  constructor(actions: ImproveActions) {
    this.start.append(make('span', { className: 'title' }, 'Improve the model on my objects …'));
    this.start.title = 'Train the model further on the objects that you have committed, on this computer.';
    this.byItself.append(this.byItselfBox, ' Improve while I annotate');
    setText(this.stop, 'Stop and keep the best');
    this.running.append(
      this.text,
      this.bar,
      this.left,
      this.curve,
      make('div', { className: 'controls' }, this.pause, this.stop),
    );
    this.offered.append(
      this.offerText,
      this.gains,
      this.pictures,
      make('div', { className: 'controls' }, this.take, this.dismiss),
    );
    this.node = make(
      'details',
      { className: 'section improve', 'data-section': 'improve', open: true },
      make('summary', {}, make('h2', {}, 'Improve the model')),
      make('div', { className: 'controls' }, this.start),
      this.byItself,
      this.running,
      this.offered,
      this.failure,
    );
    this.start.addEventListener('click', () => actions.run('improve_model'));
    this.byItselfBox.addEventListener('change', () => actions.improveByItself(this.byItselfBox.checked));
    this.pause.addEventListener('click', () => actions.wishOfTraining(this.resting ? 'go on' : 'rest'));
    this.stop.addEventListener('click', () => actions.wishOfTraining('enough'));
    this.take.addEventListener('click', () => (this.taken ? actions.backToEarlier() : actions.takeTrained()));
    this.dismiss.addEventListener('click', () => actions.dismissTrained());
  }

  update(model: ImproverModel | undefined): void {
    this.node.hidden = model === undefined;
    if (!model) return;
    const { training, offer, failure, automatic } = model;
    this.start.hidden = training !== undefined;
    this.byItself.hidden = automatic === undefined;
    this.byItselfBox.checked = automatic === true;
    this.running.hidden = training === undefined;
    if (training) this.updateRunning(training);
    this.offered.hidden = offer === undefined;
    if (offer) this.updateOffer(offer);
    setText(this.failure, failure ?? '');
    this.failure.hidden = failure === undefined;
  }

  private updateRunning({ state, text, fraction, secondsLeft, curve }: NonNullable<ImproverModel['training']>): void {
    this.resting = state === 'resting';
    this.running.dataset.state = state;
    setText(this.text, text);
    if (fraction === undefined) this.bar.removeAttribute('value');
    else this.bar.value = fraction;
    const words = { resting: 'Paused', stopping: 'Keeping the best …', done: '', failed: '' };
    const left = secondsLeft === undefined ? '' : timeLeft(secondsLeft);
    setText(this.left, state === 'running' ? left : words[state]);
    setText(this.pause, this.resting ? 'Go on' : 'Pause');
    this.pause.disabled = state === 'stopping';
    this.stop.disabled = state === 'stopping';
    this.drawCurve(curve);
  }

  /** Of the part that learns now, its loss; points where it was scored, by the height of the score. */
  private drawCurve(rows: NonNullable<ImproverModel['training']>['curve']): void {
    const name = rows.at(-1)?.name;
    const own = rows.filter((row) => row.name === name);
    this.curve.hidden = own.length < 2;
    const key = `${name} ${own.length}`;
    if (this.curve.hidden || key === this.drawn) return;
    this.drawn = key;
    const context = this.curve.getContext('2d');
    if (!context) return;
    const { width, height } = this.curve;
    const style = getComputedStyle(this.node);
    const last = itemAt(own, own.length - 1).step;
    const most = Math.max(...own.map(({ loss }) => loss));
    const least = Math.min(...own.map(({ loss }) => loss));
    const at = (step: number, part: number): [number, number] => [
      4 + (step / last) * (width - 8),
      4 + (1 - part) * (height - 8),
    ];
    context.clearRect(0, 0, width, height);
    context.lineWidth = 3;
    context.strokeStyle = style.getPropertyValue('--quiet');
    context.beginPath();
    for (const { step, loss } of own) context.lineTo(...at(step, (loss - least) / (most - least || 1)));
    context.stroke();
    context.fillStyle = style.getPropertyValue('--accent');
    for (const { step, accuracy } of own) {
      if (accuracy === undefined) continue;
      context.beginPath();
      context.arc(...at(step, accuracy), 5, 0, 2 * Math.PI);
      context.fill();
    }
    const best = Math.max(...own.map(({ accuracy = 0 }) => accuracy));
    this.curve.title = `Line: the loss, ${most.toFixed(2)} to ${least.toFixed(2)}. Dots: the score on objects kept back, at best ${best.toFixed(2)} of 1.`;
    this.curve.setAttribute('role', 'img');
    this.curve.setAttribute('aria-label', this.curve.title);
  }

  private updateOffer({ name, gains, better, taken, pictures }: Offer): void {
    this.taken = taken;
    const heading = taken
      ? `${name} is in use.`
      : better
        ? gains.length === 0
          ? `${name} is ready. There were too few objects to measure what it gained.`
          : `${name} is ready. On objects that it has not seen:`
        : 'Nothing better was found on the objects that were kept back; the model stays as it is. More objects, or a longer training, may help.';
    setText(this.offerText, heading);
    const lines = gains.map(({ part, before, after }) => {
      const from = before === undefined ? '' : `${before.toFixed(2)} → `;
      return `${TITLES[part]}: ${from}${after.toFixed(2)}`;
    });
    if (this.gains.dataset.lines !== lines.join('\n')) {
      this.gains.dataset.lines = lines.join('\n');
      this.gains.replaceChildren(...lines.map((line) => make('li', {}, line)));
    }
    this.gains.hidden = lines.length === 0;
    this.showPictures(pictures);
    this.take.hidden = !better;
    setText(this.take, taken ? 'Go back to the earlier model' : 'Use it');
    setText(this.dismiss, taken || !better ? 'Close' : 'Not now');
  }

  private showPictures(pictures: Offer['pictures']): void {
    if (pictures === this.shown) return;
    this.shown = pictures;
    this.pictures.replaceChildren(
      ...pictures.flatMap(({ name, before, after }) => [
        ...(before ? [captioned(name, 'Before', before)] : []),
        captioned(name, 'After', after),
      ]),
    );
    this.pictures.hidden = pictures.length === 0;
  }
}

/** One of a pair, with what it shows. */
function captioned(name: string, when: string, png: Uint8Array): HTMLElement {
  const src = URL.createObjectURL(new Blob([Uint8Array.from(png)], { type: 'image/png' }));
  const alt = `${name}, ${when.toLowerCase()}: your outlines green, those of the model magenta, white where both agree`;
  const image = make('img', { src, alt, title: alt });
  image.addEventListener('load', () => URL.revokeObjectURL(src), { once: true });
  return make('figure', {}, image, make('figcaption', {}, when));
}

/** In CSS pixels. */
const CURVE = [240, 48] as const;

const TITLES = {
  instances: 'Finding all objects (mean accuracy)',
  decoder: 'Clicks and boxes (mean overlap)',
  late: 'Both together',
  full: 'Both together',
  lora: 'Both together',
} as const;
