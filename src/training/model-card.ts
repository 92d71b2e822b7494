import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { CARD_FORMAT } from '../checkpoints/card-format.js';
import type { ObjectSizes } from '../model/model-spec.js';
import { writeModel } from '../onnx/write.js';
import { lightDecoderModel } from './instances/light-decoder.js';
import type { Learned } from './learn.js';
import type { PointScores } from './prompts/points-by-instances.js';
import type { LearnedPart } from './settings.js';
import type { TrainedParts } from './train-parts.js';

/** What a trained model consists of: the trained parts as ONNX files, and a card that says what they are. */
export interface ModelCard {
  /** Of the card (checkpoints/card-format.ts); 1 where it is not said. */
  readonly format?: number;
  readonly name: string;
  /** The model that the other parts are of: its name, or the folder of a trained one. */
  readonly base: string;
  readonly instances?: PartCard;
  readonly decoder?: PartCard;
  /** The late part of the encoder, as differences from the base's encoder (model/encoder-delta.ts). */
  readonly late?: PartCard;
  /** The whole encoder, in the same way. */
  readonly full?: PartCard;
  /** Its attention, in the same way. */
  readonly lora?: PartCard;
  /** Of the objects that it was trained on, in pixels. */
  readonly objectSizes?: ObjectSizes;
  /** By the images that were kept back: whether a click had better mean the instance decoder's object under it. */
  readonly points?: PointScores;
  /** Copies of what the base was trained to, which may be trained anew later. Cards of earlier versions lack them. */
  readonly inherited?: Readonly<Partial<Record<'encoder' | 'decoder' | 'instances', InheritedPart>>>;
  readonly seed: number;
  readonly date: string;
  readonly trainedOn: readonly ImageSummary[];
  readonly scoredOn: readonly ImageSummary[];
}

export interface PartCard {
  /** Beside the card. */
  readonly file: string;
  readonly sha256?: string;
  /** What the training began with. */
  readonly started: string;
  /** The step whose weights these are, and how many were planned. */
  readonly step: number;
  readonly steps: number;
  /**
   * On the images that were kept back: mean segmentation accuracy of the instance decoder; mean IoU of the mask decoder
   * with points and boxes.
   */
  readonly accuracy?: number;
  /** The same of what it began with. */
  readonly before?: number;
}

export interface InheritedPart {
  /** Beside the card. */
  readonly file: string;
  readonly sha256: string;
}

export interface ImageSummary {
  readonly image: string;
  readonly size: readonly [number, number];
  readonly objects: number;
}

/** The trained parts as files, and the card. */
export function trainedFiles(
  { instances, decoder, late, full, lora, delta, objectSizes, points, settings, started, pictures }: TrainedParts,
  about: Omit<ModelCard, LearnedPart | 'objectSizes' | 'points'>,
): { readonly card: ModelCard; readonly files: ReadonlyMap<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  const add = (
    part: LearnedPart,
    { step, accuracy, before }: Learned,
    model: Parameters<typeof writeModel>[0],
  ): PartCard => {
    const file = `${part}.onnx`;
    const bytes = writeModel(model);
    files.set(file, bytes);
    const digest = bytesToHex(sha256(bytes));
    return { file, sha256: digest, started: started[part], step, steps: settings[part].steps, accuracy, before };
  };
  const card: ModelCard = {
    format: CARD_FORMAT,
    ...about,
    ...(objectSizes && { objectSizes }),
    ...(points && { points }),
    ...(instances && { instances: add('instances', instances, lightDecoderModel(instances.weights)) }),
    ...(decoder && { decoder: add('decoder', decoder, decoder.model) }),
    ...(late && delta && { late: add('late', late, delta) }),
    ...(full && delta && { full: add('full', full, delta) }),
    ...(lora && delta && { lora: add('lora', lora, delta) }),
  };
  for (const [i, { before, after }] of pictures.entries()) {
    if (before) files.set(`kept-back-${i + 1}-before.png`, before);
    files.set(`kept-back-${i + 1}-after.png`, after);
  }
  return { card, files };
}
