import type { Prospect } from '../../src/app/improver.js';
import { asSamError } from '../../src/errors.js';
import { counted } from '../../src/items.js';
import { durationText } from '../../src/presenter/panel/duration-text.js';
import type { Preset } from '../../src/training/settings.js';
import { capital, make, setText } from './dom.js';
import { Sheet } from './menu.js';

export interface ImproveChoices {
  /** Reads what there is to learn from. */
  prospect(partial: boolean, signal: AbortSignal): Promise<Prospect>;
  start(preset: Preset, partial: boolean): void;
}

/** What would be trained on, how long each choice takes here, and the choice. */
export function improveSheet({ prospect, start }: ImproveChoices): Sheet {
  const state = make('p', { className: 'facts', role: 'status' });
  const report = make('ul', { className: 'report' });
  const whole = make('input', { type: 'checkbox' });
  const question = make(
    'label',
    { className: 'toggle whole' },
    whole,
    make('span', {}, 'Every object of these images is annotated'),
  );
  const list = make('div', { className: 'menu' });
  const where = make('p', { className: 'note' });
  const sheet = new Sheet(
    'Improve the model on my objects',
    make('p', { className: 'note' }, 'The model learns from the objects that you have committed, on this computer.'),
    report,
    question,
    make('p', { className: 'note' }, 'If some are not, what has no outline counts as unknown, not as background.'),
    state,
    list,
    where,
  );
  let asking = new AbortController();
  sheet.onClose(() => asking.abort());
  const ask = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    setText(state, 'Reading what is committed …');
    list.replaceChildren();
    try {
      const found = await prospect(!whole.checked, signal);
      if (signal.aborted) return;
      setText(state, 'Measuring how long it takes on this computer …');
      report.replaceChildren(...linesOf(found.report).map((line) => make('li', {}, line)));
      setText(
        where,
        `It runs ${found.where}: go on working meanwhile. Pause it or stop it whenever you like; the best so far is kept.`,
      );
      const details = new Map(PRESETS.map((preset) => [preset, make('span', { className: 'detail' })]));
      const tell = (seconds?: Readonly<Record<Preset, number>>) => {
        for (const [preset, detail] of details) {
          const time = seconds ? `${capital(durationText(seconds[preset]))}. ` : '';
          const text = found.clicksAlone ? { ...DETAILS, ...CLICKS_ALONE }[preset] : DETAILS[preset];
          setText(detail, time + text + (preset === 'best' && found.late ? LATE : ''));
        }
      };
      tell();
      list.replaceChildren(...[...details].map(([preset, detail]) => button(preset, detail)));
      list.querySelector('button')?.focus();
      tell(await found.seconds({ signal }));
      setText(state, '');
    } catch (error) {
      if (!signal.aborted) setText(state, asSamError(error).message);
    }
  };
  const button = (preset: Preset, detail: HTMLElement) => {
    const title = make('span', { className: 'title' }, TITLES[preset]);
    const node = make('button', { type: 'button', 'data-preset': preset }, title, detail);
    node.addEventListener('click', () => {
      start(preset, !whole.checked);
      sheet.close();
    });
    return node;
  };
  whole.addEventListener('change', () => void ask());
  void ask();
  return sheet;
}

const PRESETS = ['quick', 'better', 'best'] as const;
const TITLES: Readonly<Record<Preset, string>> = { quick: 'Quick', better: 'Better', best: 'Best' };
const DETAILS: Readonly<Record<Preset, string>> = {
  quick: 'Worth a try after a few objects.',
  better: 'Four times as long.',
  best: 'Longest, for many objects.',
};
const CLICKS_ALONE = {
  quick: 'Clicks and boxes only. Worth a try after a few objects.',
  better: 'Finding all objects at once is learned, too.',
};
const LATE = ' The encoder learns too, so images are embedded anew.';

function linesOf({ images, trained, heldBack, leftOut, diameters }: Prospect['report']): string[] {
  const span = diameters
    ? diameters[1] - diameters[0] < 1
      ? `, about ${diameters[0].toFixed(0)} pixels across`
      : `, about ${diameters[0].toFixed(0)} to ${diameters[1].toFixed(0)} pixels across`
    : '';
  return [
    `${counted(trained, 'object')} of ${counted(images, 'image')} to learn from${span}`,
    ...(heldBack > 0 ? [`${counted(heldBack, 'object')} kept back, to measure what is gained`] : []),
    ...leftOut.map((text) => `Left out: ${text}`),
  ];
}
