import { asSamError, SamError } from '../errors.js';
import type { ModelSpec } from '../model/model-spec.js';
import { adoptModel, modelNames } from '../model/registry.js';
import type { Size } from '../ndimage/array.js';
import { newName } from '../service/training.js';
import type { AnnotationSession } from '../session/session.js';
import type { TaskOptions } from '../task.js';
import { type AnnotatedData, type AnnotatedImage, annotatedData, type DataReport } from '../training/annotated.js';
import { type Preset, SLOW_STRIPS } from '../training/settings.js';
import { partsOfPreset, settingsOf, type TrainingHost, type TrainingJob } from '../training/training-job.js';
import { type Gain, gainsOf, isBetter, type TrainingState, TrainingTask } from '../training/training-task.js';
import { amountOf, secondsFor, type TrainingSpeed } from '../training/training-time.js';
import type { ValidationPicture } from '../training/validation-pictures.js';

/**
 * Makes the model in use better on the objects of the person who works with it: what there is to learn from, how long it takes,
 * the training itself, and its offer, which is taken or left, and taken back. In a series it can begin by itself.
 */
export interface ImproverOptions {
  readonly session: AnnotationSession;
  /** The model in use. */
  readonly model: () => ModelSpec;
  readonly window: () => Size | undefined;
  readonly host: (model: ModelSpec) => TrainingHost;
  /** All that is committed, in this image and in others of its series. */
  readonly annotated: (task: TaskOptions) => Promise<readonly AnnotatedImage[]>;
  readonly use: (model: string) => Promise<void>;
  readonly onChanged: () => void;
}

/** What a training would be made of. */
export interface Prospect {
  readonly report: DataReport;
  readonly where: string;
  /** Whether the longest one changes the encoder. */
  readonly late: boolean;
  /** Whether the quick one is for clicks and boxes alone. */
  readonly clicksAlone: boolean;
  /** Seconds of each, once they are measured on this machine. */
  seconds(task: TaskOptions): Promise<Readonly<Record<Preset, number>>>;
}

export interface Offer {
  readonly name: string;
  readonly gains: readonly Gain[];
  /** There is a gain, or nothing could be kept back to measure it. */
  readonly better: boolean;
  /** It is in use. */
  readonly taken: boolean;
  /** What was found on what was kept back, before and after. */
  readonly pictures: readonly ValidationPicture[];
}

/** For the panel. */
export interface ImproverModel {
  readonly training?: {
    readonly state: TrainingState;
    readonly text: string;
    readonly fraction?: number;
    readonly secondsLeft?: number;
    /** Points of the curves, part by part. */
    readonly curve: TrainingTask['curve'];
  };
  readonly offer?: Offer;
  readonly failure?: string;
  /** Begins by itself in a series; undefined outside of one. */
  readonly automatic?: boolean;
}

export class Improver {
  private task?: TrainingTask;
  private offer?: Offer;
  private previous?: string;
  private failure?: string;
  private isAutomatic = false;
  /** Objects of the series when the last training by itself began. */
  private seen = 0;
  /** Something is computed for the hand, and the training that rests for it. */
  private yielding = false;
  private rested?: TrainingTask;
  private readonly speeds = new Map<string, TrainingSpeed>();

  constructor(private readonly options: ImproverOptions) {
    options.session.subscribe(() => this.yieldToHand());
  }

  /**
   * Reads what is committed.
   *
   * @throws SamError `invalid_argument` if there is too little to learn from
   */
  async prospect(partial: boolean, task: TaskOptions = {}): Promise<Prospect> {
    const { report, ...data } = await this.data(partial, task);
    const model = this.options.model();
    const host = this.options.host(model);
    const images = { training: data.training.length, heldBack: data.heldBack.length };
    return {
      report,
      where: host.where,
      late: host.parts.includes('late'),
      clicksAlone: !partsOfPreset('quick', host, model).includes('instances'),
      seconds: async (task) => {
        const speed = await this.speedOf(model, host, data, task);
        const of = (preset: Preset) => {
          const job = this.job(preset, model, host, data);
          const settings = settingsOf(job, model.instances !== undefined);
          return secondsFor(amountOf(settings, new Set(job.parts), images), speed);
        };
        return { quick: of('quick'), better: of('better'), best: of('best') };
      },
    };
  }

  /** Starts a training; what comes of it is offered. */
  async start(preset: Preset, partial: boolean, steps?: TrainingJob['steps']): Promise<void> {
    if (this.isRunning) throw new SamError('invalid_argument', 'A training is under way already.');
    const { report, ...data } = await this.data(partial, {});
    const model = this.options.model();
    const host = this.options.host(model);
    const job = { ...this.job(preset, model, host, data), ...(steps && { steps }) };
    this.failure = undefined;
    this.offer = undefined;
    this.task = new TrainingTask(host, job, report, () => this.options.onChanged());
    this.options.onChanged();
    try {
      const { card, model: trained, pictures = [] } = await this.task.finished;
      adoptModel(trained);
      this.offer = { name: trained.name, gains: gainsOf(card), better: isBetter(card), taken: false, pictures };
    } catch (error) {
      const { code, message } = asSamError(error);
      this.failure = code === 'cancelled' ? undefined : message;
    } finally {
      this.task = undefined;
      this.options.onChanged();
    }
  }

  wish(wish: 'rest' | 'go on' | 'enough'): void {
    this.task?.wish(wish);
  }

  /** Uses the model that is offered. */
  async take(): Promise<void> {
    const { offer } = this;
    if (!offer || offer.taken) return;
    this.previous = this.options.model().name;
    await this.options.use(offer.name);
    this.offer = { ...offer, taken: true };
    this.options.onChanged();
  }

  /** Uses the model from before. */
  async goBack(): Promise<void> {
    const { offer, previous } = this;
    if (!offer?.taken || previous === undefined) return;
    await this.options.use(previous);
    this.offer = { ...offer, taken: false };
    this.options.onChanged();
  }

  /** Nothing is offered any more; the model stays in the list. */
  dismiss(): void {
    this.offer = undefined;
    this.failure = undefined;
    this.options.onChanged();
  }

  setAutomatic(on: boolean): void {
    this.isAutomatic = on;
    this.seen = 0;
    this.options.onChanged();
  }

  /**
   * Told of a series after each of its images: with as many new objects as were there when it last began, or so, a quick
   * training begins by itself, unless something is offered.
   */
  consider(images: number, objects: number): void {
    if (!this.isAutomatic || this.isRunning || this.offer || images < LEAST_IMAGES) return;
    if (objects < Math.max(LEAST_NEW, 1.5 * this.seen)) return;
    this.seen = objects;
    this.start('quick', true).catch(() => undefined); // too little to learn from yet
  }

  /** @param inSeries whether the open image is one of several */
  panel(inSeries: boolean): ImproverModel {
    const { task, offer, failure } = this;
    return {
      ...(task && { training: trainingModel(task) }),
      ...(offer && { offer }),
      ...(failure !== undefined && { failure }),
      ...(inSeries && { automatic: this.isAutomatic }),
    };
  }

  get isRunning(): boolean {
    return this.task !== undefined;
  }

  close(): void {
    this.task?.drop();
  }

  private async data(partial: boolean, task: TaskOptions): Promise<AnnotatedData> {
    const { slow } = this.options.host(this.options.model());
    return annotatedData(await this.options.annotated(task), {
      partial,
      window: this.options.window(),
      ...(slow && { mostStrips: SLOW_STRIPS }),
    });
  }

  private job(preset: Preset, model: ModelSpec, host: TrainingHost, data: TrainingJob['data']): TrainingJob {
    const { slow } = host;
    const parts = partsOfPreset(preset, host, model);
    const speed = this.speeds.get(keyOf(model, host));
    const name = newName(model.name, modelNames());
    return { name, model, preset, parts, data, ...(slow && { slow }), ...(speed && { speed }) };
  }

  private async speedOf(
    model: ModelSpec,
    host: TrainingHost,
    data: TrainingJob['data'],
    task: TaskOptions,
  ): Promise<TrainingSpeed> {
    const known = this.speeds.get(keyOf(model, host));
    if (known) return known;
    const speed = await host.measure(this.job('best', model, host, data), task);
    this.speeds.set(keyOf(model, host), speed);
    return speed;
  }

  /** A training in the page takes the cores that a click needs, so it rests while anything is computed for the hand. */
  private yieldToHand(): void {
    const { task } = this;
    if (!task || task.state === 'stopping' || this.options.host(task.job.model).nice) return;
    const { tasks, waiting } = this.options.session.state;
    const isBusy = tasks.length > 0 || Boolean(waiting);
    if (isBusy === this.yielding) return;
    this.yielding = isBusy;
    if (isBusy && task.state === 'running') {
      this.rested = task;
      task.controls.wish('rest');
    } else if (!isBusy && this.rested === task) {
      this.rested = undefined;
      task.controls.wish('go on');
    }
  }
}

const LEAST_IMAGES = 2;
const LEAST_NEW = 10;

const keyOf = ({ name }: ModelSpec, { where }: TrainingHost) => `${name} ${where}`;

const PHASES = {
  pictures: 'Making pictures of the images',
  instances: 'Learning to find all objects',
  decoder: 'Learning clicks and boxes',
  late: 'Learning to see',
  full: 'Learning to see',
  lora: 'Learning to see',
} as const;

function trainingModel({ state, news, curve }: TrainingTask): NonNullable<ImproverModel['training']> {
  if (!news) return { state, text: 'Reading the model', curve };
  const { phase, done, total, secondsLeft } = news;
  return {
    state,
    text: `${PHASES[phase]}: ${done} of ${total}`,
    ...(total > 0 && { fraction: done / total }),
    ...(secondsLeft !== undefined && { secondsLeft }),
    curve,
  };
}
