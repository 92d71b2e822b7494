import type { ModelSpec } from '../model/model-spec.js';
import type { TaskOptions } from '../task.js';
import type { AnnotatedData } from './annotated.js';
import type { TrainingRow } from './learn.js';
import type { ModelCard } from './model-card.js';
import {
  type LearnedPart,
  type Preset,
  presetSettings,
  type TrainedPart,
  type TrainingPhase,
  type TrainingSettings,
} from './settings.js';
import type { TrainingControls } from './training-controls.js';
import type { TrainingSpeed } from './training-time.js';
import type { ValidationPicture } from './validation-pictures.js';

/** A training as plain data, which any thread or process can be given. */
export interface TrainingJob {
  /** Of the model that is made. */
  readonly name: string;
  /** The model to go on from. */
  readonly model: ModelSpec;
  readonly preset: Preset;
  /** Of the host. */
  readonly slow?: boolean;
  /** Those of them that the model has learn. */
  readonly parts: readonly TrainedPart[];
  /** Instead of the preset's. */
  readonly steps?: Partial<Readonly<Record<'canvases' | LearnedPart, number>>>;
  /** Pictures in a step in which the encoder learns. */
  readonly pictures?: number;
  readonly fromScratch?: boolean;
  readonly seed?: number;
  readonly data: Pick<AnnotatedData, 'training' | 'heldBack'>;
  /** As measured before, for the time left. */
  readonly speed?: TrainingSpeed;
}

/** What is told while it runs. */
export interface TrainingNews {
  readonly phase: TrainingPhase;
  readonly done: number;
  readonly total: number;
  readonly secondsLeft?: number;
  /** Of the curve, where there is a new point. */
  readonly row?: TrainingRow;
}

export interface TrainingResult {
  readonly card: ModelCard;
  /** For the registry. */
  readonly model: ModelSpec;
  /** Of images that were kept back. */
  readonly pictures?: readonly ValidationPicture[];
}

export interface TrainingRun extends TaskOptions {
  readonly onNews?: (news: TrainingNews) => void;
  readonly controls?: TrainingControls;
}

/** Somewhere to train: in this thread, a web worker, a process. */
export interface TrainingHost {
  /** For people, e.g. "in a process of its own". */
  readonly where: string;
  /** It gives way to all else on the machine; one that does not has to be let rest. */
  readonly nice: boolean;
  /** Its arithmetic takes several times as long, so that its quick training is shorter. */
  readonly slow?: boolean;
  /** Parts for which it has the memory. */
  readonly parts: readonly TrainedPart[];
  measure(job: TrainingJob, task?: TaskOptions): Promise<TrainingSpeed>;
  /** @throws SamError `cancelled` if it was enough before anything was learned */
  train(job: TrainingJob, run?: TrainingRun): Promise<TrainingResult>;
}

/** What a preset trains of a model on a host; the quick one of a slow host clicks and boxes alone, where there is a choice. */
export function partsOfPreset(
  preset: Preset,
  { parts, slow = false }: Pick<TrainingHost, 'parts' | 'slow'>,
  { instances }: Pick<ModelSpec, 'instances'>,
): TrainedPart[] {
  const clicksAlone = slow && preset === 'quick' && instances !== undefined;
  const both: readonly TrainedPart[] = clicksAlone ? ['mask_decoder'] : ['instances', 'mask_decoder'];
  return (preset === 'best' ? [...both, 'late' as const] : both).filter((part) => parts.includes(part));
}

export function settingsOf(
  { preset, slow, steps = {}, pictures, seed }: TrainingJob,
  goesOn: boolean,
): TrainingSettings {
  const settings = presetSettings(preset, goesOn, { seed, slow });
  const { canvases, instances, decoder, late, full, lora } = settings;
  return {
    ...settings,
    canvases: steps.canvases ?? canvases,
    instances: { ...instances, steps: steps.instances ?? instances.steps },
    decoder: { ...decoder, steps: steps.decoder ?? decoder.steps },
    late: { ...late, steps: steps.late ?? late.steps },
    full: { ...full, steps: steps.full ?? full.steps },
    lora: { ...lora, steps: steps.lora ?? lora.steps },
    ...(pictures !== undefined && { pictures }),
  };
}
