import { tableOf } from '../items.js';
import {
  canvasCount,
  ENCODER_PARTS,
  TRAINING_PHASES,
  type TrainedPart,
  type TrainingPhase,
  type TrainingSettings,
} from './settings.js';

/** Of one picture, and of one step of each part: seconds, or how many there are. */
export type PerPhase = Readonly<Record<TrainingPhase, number>>;

export function perPhase(of: (phase: TrainingPhase) => number): Record<TrainingPhase, number> {
  return tableOf(TRAINING_PHASES, of);
}

/** Seconds of one of each, and of scoring one image, as measured. */
export interface TrainingSpeed extends PerPhase {
  readonly score: number;
}

/** How much there is to do. */
export interface TrainingAmount extends PerPhase {
  /** Images scored, each as often as it is. */
  readonly score: number;
}

export function amountOf(
  settings: TrainingSettings,
  parts: ReadonlySet<TrainedPart>,
  images: { readonly training: number; readonly heldBack: number },
): TrainingAmount {
  const learnsDecoder = parts.has('mask_decoder') || parts.has('prompt_encoder');
  const learning = [parts.has('instances'), learnsDecoder, ENCODER_PARTS.some((part) => parts.has(part))];
  return {
    pictures: canvasCount(settings, images.training),
    instances: parts.has('instances') ? settings.instances.steps : 0,
    decoder: learnsDecoder ? settings.decoder.steps : 0,
    late: parts.has('late') ? settings.late.steps : 0,
    full: parts.has('full') ? settings.full.steps : 0,
    lora: parts.has('lora') ? settings.lora.steps : 0,
    score: learning.filter(Boolean).length * (settings.scores + 1) * images.heldBack,
  };
}

export function secondsFor(amount: TrainingAmount, speed: TrainingSpeed): number {
  return [...TRAINING_PHASES, 'score' as const].reduce((sum, part) => sum + amount[part] * speed[part], 0);
}

/** How long a training will still take: by what was measured before it began, then by its own steps. */
export class TrainingClock {
  private readonly done = perPhase(() => 0);
  private readonly spent = perPhase(() => 0);
  private readonly counted = perPhase(() => 0);
  private last?: number;

  constructor(
    private readonly amount: TrainingAmount,
    private readonly speed?: TrainingSpeed,
  ) {}

  /** Before each step: what went before it, a rest perhaps, is no part of it. */
  begin(): void {
    this.last = performance.now();
  }

  /** @returns seconds left; undefined while nobody can tell */
  advance(phase: TrainingPhase, done: number): number | undefined {
    const steps = done - this.done[phase];
    this.done[phase] = done;
    // The first step of a part prepares its graph; what an earlier run has done took this one no time.
    if (this.last !== undefined && steps === 1 && (done > 1 || phase === 'pictures')) {
      this.spent[phase] += (performance.now() - this.last) / 1000;
      this.counted[phase]++;
    }
    return this.left(phase);
  }

  private left(current: TrainingPhase): number | undefined {
    let seconds = 0;
    for (const phase of TRAINING_PHASES.slice(TRAINING_PHASES.indexOf(current))) {
      const rest = this.amount[phase] - this.done[phase];
      const each = this.secondsEach(phase);
      if (rest > 0 && each === undefined) return undefined;
      if (rest > 0) seconds += rest * (each as number);
    }
    return seconds;
  }

  /** Once weights were scored on the way, the mean holds that too. */
  private secondsEach(phase: TrainingPhase): number | undefined {
    const { amount, speed, counted, spent } = this;
    const mean = counted[phase] > 0 ? spent[phase] / counted[phase] : undefined;
    if (phase === 'pictures' || counted[phase] * 4 > amount[phase]) return mean ?? speed?.[phase];
    const steps = amount.instances + amount.decoder + amount.late + amount.full + amount.lora;
    const step = counted[phase] >= 3 ? mean : speed?.[phase];
    return step === undefined ? mean : step + (speed ? (amount.score * speed.score) / steps : 0);
  }
}
