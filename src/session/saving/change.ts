import * as v from 'valibot';
import { changedLayers, LAYERS } from '../history.js';
import { changeObjects } from '../layers.js';
import type { ImageInfo, ObjectLayerName, ObjectRecord, SessionState } from '../state.js';
import { natural, recordJson, recordSchema, toRecord } from './records.js';
import { type FieldsJson, fieldSchemas, fieldsFromJson, fieldsJson, parseWith, type Restored } from './saved-fields.js';

/**
 * What turns one state of an image into the next, as JSON: the fields that differ, and each object that differs by
 * itself, so that the damage of one costs no other. A whole state is the change from nothing.
 */
export interface SavedChange {
  readonly fields: FieldsJson;
  readonly objects: readonly ObjectChange[];
}

export interface ObjectChange {
  readonly layer: ObjectLayerName;
  readonly id: number;
  /** Null: the object is gone. */
  readonly record: unknown;
}

const fieldsSchema = v.object(fieldSchemas);

const objectSchema = v.object({
  layer: v.picklist(LAYERS),
  id: natural,
  record: v.nullable(recordSchema),
});

/** Undefined if nothing that is saved differs. */
export function changeBetween(from: SessionState, to: SessionState): SavedChange | undefined {
  const fields = fieldsJson(to, from);
  const changed = changedLayers(from, to);
  const objects = LAYERS.flatMap((layer) =>
    [...(changed[layer] ?? [])].map(([id, record]) => ({ layer, id, record: record ? recordJson(record) : null })),
  );
  return objects.length === 0 && Object.keys(fields).length === 0 ? undefined : { fields, objects };
}

export function wholeState(state: SessionState): SavedChange {
  const objects = LAYERS.flatMap((layer) =>
    [...state.layers[layer].objects].map(([id, record]) => ({ layer, id, record: recordJson(record) })),
  );
  return { fields: fieldsJson(state), objects };
}

/** @throws SamError if a part is not as it should be; parts before it are not applied either */
export function applyChange(state: Restored, change: SavedChange, image: ImageInfo): Restored {
  const fields = fieldsFromJson(parseWith(fieldsSchema, change.fields, 'saved change'), image);
  const objects = change.objects.map((json) => parseWith(objectSchema, json, 'saved object'));
  const layers = { ...state.layers };
  for (const name of LAYERS) {
    const changes = new Map<number, ObjectRecord | undefined>();
    for (const { layer, id, record } of objects)
      if (layer === name) changes.set(id, record ? toRecord(record, image) : undefined);
    if (changes.size > 0) layers[name] = changeObjects(layers[name], changes);
  }
  return { ...state, ...fields, layers, settings: { ...state.settings, ...fields.settings } };
}
