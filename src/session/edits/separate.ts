import { itemAt } from '../../items.js';
import type { LabelImage } from '../../ndimage/array.js';
import { labelComponents } from '../../ndimage/label.js';
import type { Edit } from '../actions.js';
import { layerOf, maxId, paintLayer, recordsFromLabels } from '../layers.js';
import type { ObjectRecord } from '../state.js';

/**
 * Objects in several pieces: masks of other programs often hold one number for all objects. A piece is what touches, at
 * corners too; in a stack from plane to plane.
 */

/** How many pieces the objects of a label image are, if they are all one object; 1 if they are not. */
export function piecesOfOneObject(labels: LabelImage): number {
  const one = labels.data.find((id) => id !== 0);
  if (one === undefined || labels.data.some((id) => id !== 0 && id !== one)) return 1;
  return labelComponents(labels, 'all').count;
}

/** What to tell of such labels, with the way to make them many. */
export function offerToSeparate(name: string, pieces: number) {
  return {
    level: 'warning',
    text: `All of ${name} is one object, in ${pieces} pieces that do not touch. If each is an object of its own, separate them.`,
    offer: 'separate_objects',
  } as const;
}

/** Every piece of a committed object becomes an object: the first keeps the id, what is whole stays as it is. */
export function separateObjects(): Edit {
  return {
    title: 'Separate objects',
    change(state) {
      const { image } = state;
      if (!image) return state;
      const { committed_objects: layer } = state.layers;
      const pieces = piecesOf(paintLayer(layer, image));
      if (pieces.length === layer.objects.size) return state;
      const seen = new Set<number>();
      let next = maxId(layer);
      const counts = new Map<number, number>();
      for (const { of } of pieces) counts.set(of, (counts.get(of) ?? 0) + 1);
      const records = pieces.flatMap(({ of, record }): ObjectRecord[] => {
        const known = layer.objects.get(of);
        if (known && counts.get(of) === 1) return [known];
        const first = !seen.has(of);
        seen.add(of);
        return [{ ...record, id: first ? of : ++next, origin: known?.origin ?? record.origin }];
      });
      const { editing: _, ...rest } = state;
      return { ...rest, layers: { ...state.layers, committed_objects: layerOf(records) } };
    },
  };
}

interface Piece {
  /** The object that it is a part of. */
  readonly of: number;
  readonly record: ObjectRecord;
}

function piecesOf(labels: LabelImage): Piece[] {
  const { labels: components } = labelComponents(labels, 'all');
  const owner = new Map<number, number>();
  components.data.forEach((component, i) => {
    if (component !== 0 && !owner.has(component)) owner.set(component, itemAt(labels.data, i));
  });
  return recordsFromLabels(components).map((record) => ({ of: owner.get(record.id) ?? record.id, record }));
}
