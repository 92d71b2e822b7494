import type { SeriesModel } from '../../src/app/series.js';
import { itemAt } from '../../src/items.js';
import { durationText } from '../../src/presenter/panel/duration-text.js';
import type { SeriesImage, SeriesState } from '../../src/session/series/image-series.js';
import type { ControlActions } from './controls.js';
import { keyCaps, make, setChildren, setText } from './dom.js';

const WORDS: Readonly<Record<SeriesState, string>> = {
  new: 'not seen yet',
  work: 'in work',
  done: 'done',
  empty: 'left empty',
  failed: 'cannot be opened',
};

/** The images of a series with what became of each: a click goes there, N and Shift+N go on and back. */
export class SeriesView {
  readonly node = make('section', { className: 'series', 'aria-label': 'Series of images' });
  private readonly summary = make('summary');
  private readonly list = make('ol');
  private readonly segment = make('button', { type: 'button', className: 'command' });
  private readonly later = make('button', { type: 'button', className: 'command', hidden: true }, 'Not now');
  private readonly progress = make('p', { className: 'facts', 'aria-live': 'polite' });
  /** What was said of how long it takes, until it is started. */
  private question?: string;
  private shown: readonly SeriesImage[] = [];
  private current?: number;
  private model?: SeriesModel;

  constructor(actions: ControlActions) {
    const button = (id: 'previous_image' | 'next_image', text: string, key: string) => {
      const node = make('button', { type: 'button', className: 'command', 'data-command': id }, make('span', {}, text));
      node.append(keyCaps(key));
      node.addEventListener('click', () => actions.run(id));
      return node;
    };
    const save = (text: string, title: string, run: () => void) => {
      const node = make('button', { type: 'button', title }, text);
      node.addEventListener('click', run);
      return node;
    };
    this.node.append(
      make('details', { open: true }, this.summary, this.list),
      make(
        'div',
        { className: 'controls' },
        button('previous_image', 'Previous', 'Shift+N'),
        button('next_image', 'Next image', 'N'),
      ),
      make('div', { className: 'controls' }, this.segment, this.later),
      this.progress,
      make(
        'div',
        { className: 'track-edits' },
        save('Table of all objects', 'One CSV over all images that were left', () => this.model?.saveTable()),
        save('All results', 'Label images and the table, as a ZIP', () => this.model?.saveAll()),
      ),
    );
    this.segment.addEventListener('click', () => void this.segmentAll());
    this.later.addEventListener('click', () => this.ask(undefined));
  }

  /** What takes more than a minute is asked about first. */
  private async segmentAll(): Promise<void> {
    const { model } = this;
    if (!model) return;
    if (model.segmenting) return model.stopSegmenting();
    const seconds = this.question === undefined ? await model.estimate() : undefined;
    if (seconds !== undefined && seconds > 60) {
      const images = model.unsegmented;
      this.ask(`${images} ${images === 1 ? 'image' : 'images'}: ${durationText(seconds)}.`);
      return;
    }
    this.ask(undefined);
    model.segmentAll();
  }

  private ask(question: string | undefined): void {
    this.question = question;
    this.updateSegmenting();
  }

  private updateSegmenting(): void {
    const { segmenting, unsegmented = 0 } = this.model ?? {};
    const begun = (this.model?.images.length ?? 0) > unsegmented;
    const title = begun ? `Segment the other ${unsegmented} images` : `Segment all ${unsegmented} images`;
    setText(this.segment, segmenting ? 'Stop' : this.question ? 'Start' : title);
    this.segment.title = 'Without prompts; what is found is committed. Images that have objects stay as they are.';
    this.segment.hidden = !segmenting && unsegmented === 0;
    this.later.hidden = this.question === undefined;
    const text = segmenting ? `Segmented ${segmenting.done} of ${segmenting.total} images` : (this.question ?? '');
    setText(this.progress, text);
    this.progress.hidden = text === '';
  }

  update(model: SeriesModel): void {
    this.model = model;
    this.updateSegmenting();
    if (model.images === this.shown && model.current === this.current) return;
    const { shown, current } = this;
    const moved = model.current !== current;
    this.shown = model.images;
    this.current = model.current;
    const count = (state: SeriesState) => model.images.filter((image) => image.state === state).length;
    const at = model.current === undefined ? '' : `Image ${model.current + 1} of ${model.images.length}`;
    const failed = count('failed') > 0 ? `, ${count('failed')} cannot be opened` : '';
    setText(this.summary, [at, `${count('done')} done${failed}`].filter(Boolean).join(' · '));
    const rows = model.images.map((image, index) => {
      const same = image === shown[index] && (!moved || (index !== current && index !== model.current));
      return (same && (this.list.children[index] as HTMLElement | undefined)) || this.row(image, index);
    });
    setChildren(this.list, rows);
    if (moved) rows[model.current ?? 0]?.scrollIntoView({ block: 'nearest' });
  }

  private row(image: SeriesImage, index: number): HTMLElement {
    const known = this.list.children[index] as HTMLElement | undefined;
    const row = known ?? make('li', {}, make('button', { type: 'button' }, make('span'), make('small')));
    const button = row.firstElementChild as HTMLButtonElement;
    if (!known) button.addEventListener('click', () => this.model?.goTo(index));
    const open = index === this.current;
    row.dataset.state = image.state;
    row.toggleAttribute('aria-current', open);
    setText(itemAt(button.children, 0), image.name);
    const objects = image.objects ? `${image.objects} ${image.objects === 1 ? 'object' : 'objects'}` : '';
    const words = image.state === 'done' ? objects : WORDS[image.state];
    setText(itemAt(button.children, 1), open ? 'open' : words);
    button.title = image.failure ?? `${image.name}: ${WORDS[image.state]}${objects && `, ${objects}`}`;
    return row;
  }
}
