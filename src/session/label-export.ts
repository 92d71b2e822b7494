import type { ImageSource } from '../io/image.js';
import { nameOfView, positionOf } from '../io/recording.js';
import type { LabelExport } from '../io/results/export.js';
import { factsForExport } from '../io/results/measured-image.js';
import { annotatorKind } from './annotator.js';
import { classNameOf } from './edits/facts.js';
import { needImage, paintLayer } from './layers.js';
import type { SessionState } from './state.js';

/**
 * The objects of a layer, to be written as files: for the panel, scripts and series alike. Whether the planes of a stack
 * are times is what it is annotated as; if that is single planes, what its axes say.
 *
 * @param source the open image, for what labels alone do not tell: pixel size, intensities
 * @throws SamError no_image
 */
export function labelExport(
  state: SessionState,
  source?: ImageSource,
  layer: keyof SessionState['layers'] = 'committed_objects',
): LabelExport {
  const image = needImage(state);
  const kind = annotatorKind(state);
  const stack = kind === '2d' ? (image.axes.startsWith('t') ? 't' : 'z') : kind === 'tracking' ? 't' : 'z';
  return {
    ...(source && factsForExport(source)),
    labels: paintLayer(state.layers[layer], image),
    name: image.name,
    stack,
    ...(image.recording && { position: positionOf(image.recording.view), part: nameOfView(image.recording.view) }),
    objects: [...state.layers[layer].objects.values()].map((record) => ({
      ...record,
      ...(record.objectClass !== undefined && { className: classNameOf(record.objectClass, state.settings) }),
    })),
    lineages: layer === 'committed_objects' ? state.lineages : state.currentLineages,
  };
}
