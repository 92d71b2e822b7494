import type * as v from 'valibot';
import type { ImageInput } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { resolveModel } from '../model/registry.js';
import { setCommittedObjects } from '../session/edits/edits.js';
import { needImage, recordsFromLabels } from '../session/layers.js';
import { labelsOf } from '../session/loading/load-objects.js';
import type { AnnotationSession } from '../session/session.js';
import type { SessionSettings } from '../session/state.js';
import { method } from './call.js';
import { type EngineDeps, encodingOf, needed } from './engine.js';
import { imageInput } from './image.js';
import { checkLabels } from './labels.js';
import { schemas } from './schemas.js';
import { describeState } from './state-json.js';

/** Opening an image to annotate it, under micro-sam's names. */
export interface OpenDeps {
  /** Opens an image and makes it the session's; resolves when prompts can be given. */
  readonly openImage: (input: ImageInput, options: OpenOptions) => Promise<void>;
  /** Models, workers, embeddings. */
  readonly engine?: EngineDeps;
}

export function annotatorFunctions(session: AnnotationSession, { openImage, engine = {} }: OpenDeps) {
  /**
   * The image as that kind of data, whatever its axes say; with objects to begin with, and another model or tiles. Objects
   * that do not fit it are refused, and it is open without them.
   */
  function annotator(kind: SessionSettings['annotator']) {
    return async (given: v.InferOutput<typeof schemas.annotator>) => {
      const { image, axes, segmentation_result: begin, model_type: model, tile_shape, halo, ...options } = given;
      const tiles = encodingOf({ tile_shape, halo });
      const spec = model === undefined ? undefined : resolveModel(model);
      const isOtherEncoding = spec !== undefined || tiles.tiling !== undefined;
      if (isOtherEncoding) needed(engine.setEncoding);
      const objects = begin === undefined ? undefined : await labelsOf(imageInput(begin));
      await openImage(imageInput(image, { ...options, axes }), options);
      const labels = objects && checkLabels(objects, needImage(session.state));
      await session.run('set_settings', { annotator: kind });
      if (isOtherEncoding) await needed(engine.setEncoding)({ ...tiles, ...(spec && { model: spec.name }) });
      if (labels) await session.applyInTurn(setCommittedObjects(recordsFromLabels(labels)));
      return describeState(session.state);
    };
  }

  return {
    open_image: method('open_image', ['image', 'name'], schemas.open_image, async ({ image, axes, ...options }) => {
      await openImage(imageInput(image, { ...options, axes }), options);
      return describeState(session.state);
    }),
    annotator_2d: method('annotator_2d', ['image'], schemas.annotator, annotator('2d')),
    annotator_3d: method('annotator_3d', ['image'], schemas.annotator, annotator('3d')),
    annotator_tracking: method('annotator_tracking', ['image'], schemas.annotator, annotator('tracking')),
  };
}
