import { asSamError, SamError } from '../errors.js';
import type { DataReport } from './annotated.js';
import type { TrainingRow } from './learn.js';
import type { ModelCard } from './model-card.js';
import { LEARNED_PARTS, type LearnedPart } from './settings.js';
import { TrainingControls } from './training-controls.js';
import type { TrainingHost, TrainingJob, TrainingNews, TrainingResult } from './training-job.js';

/** What a part scores on what was kept back. */
export interface Gain {
  /** 'instances': mean segmentation accuracy; 'decoder': mean IoU of clicks and boxes; 'late', 'full' and 'lora': the mean of both. */
  readonly part: LearnedPart;
  readonly before?: number;
  readonly after: number;
}

export function gainsOf(card: ModelCard): Gain[] {
  return LEARNED_PARTS.flatMap((part) => {
    const { accuracy, before } = card[part] ?? {};
    return accuracy === undefined ? [] : { part, after: accuracy, ...(before !== undefined && { before }) };
  });
}

/** Whether it learned anything that counts: of what is not measured, that it learned at all. */
export function isBetter(card: ModelCard): boolean {
  const gains = gainsOf(card);
  if (gains.length === 0) return true;
  return gains.some(({ before, after }) => before === undefined || after > before);
}

export type TrainingState = 'running' | 'resting' | 'stopping' | 'done' | 'failed';

/** A training that somebody watches: how far it is, its curve, its result. */
export class TrainingTask {
  readonly controls = new TrainingControls();
  readonly curve: TrainingRow[] = [];
  news?: TrainingNews;
  result?: TrainingResult;
  failure?: SamError;
  /** Rejects with a SamError; `cancelled` if it was enough before anything was learned. */
  readonly finished: Promise<TrainingResult>;
  private readonly dropped = new AbortController();

  constructor(
    host: TrainingHost,
    readonly job: TrainingJob,
    readonly report: DataReport,
    private readonly onChange: () => void,
  ) {
    this.finished = host
      .train(job, {
        signal: this.dropped.signal,
        controls: this.controls,
        onNews: (news) => {
          this.news = news;
          if (news.row) this.curve.push(news.row);
          onChange();
        },
      })
      .then(
        (result) => {
          this.result = result;
          onChange();
          return result;
        },
        (error) => {
          this.failure = asSamError(error);
          onChange();
          throw this.failure;
        },
      );
    this.finished.catch(() => undefined);
  }

  get state(): TrainingState {
    if (this.result) return 'done';
    if (this.failure) return 'failed';
    if (this.controls.enough.aborted) return 'stopping';
    return this.controls.isResting ? 'resting' : 'running';
  }

  wish(wish: 'rest' | 'go on' | 'enough'): void {
    this.controls.wish(wish);
    this.onChange();
  }

  /** Ends it without a result. */
  drop(): void {
    this.dropped.abort(new SamError('cancelled', 'Cancelled.'));
  }
}
