import * as v from 'valibot';
import { SamError } from '../../errors.js';
import { AUTOMATIC_MODES } from '../../segmentation/automatic-settings.js';
import { INSTANCE_RULES } from '../../segmentation/instances/state.js';
import { PRESET_NAMES } from '../../segmentation/presets.js';
import { PROJECTION_NAMES } from '../../segmentation/volume/projection.js';
import { checkPrompt } from '../edits/prompt-rules.js';
import { SAVED_FIELDS, type SavedField } from '../fields.js';
import { NO_OBJECTS } from '../layers.js';
import { type ImageInfo, type SessionSettings, type SessionState, TOOLS } from '../state.js';
import { natural, positive, promptJson, promptSchema } from './records.js';

/**
 * How each saved field of the state is written and read. Session file, snapshot and journal are made from this table;
 * one that `session/fields.ts` calls saved and that is not here does not compile.
 */
interface FieldForm<T> {
  readonly schema: v.GenericSchema<unknown, NonNullable<T>>;
  /** Of a session in which nothing was done. */
  readonly initial: T;
  toJson?(value: NonNullable<T>): unknown;
  /** @throws SamError for what cannot be in this image */
  check?(value: NonNullable<T>, image: ImageInfo): T;
}

const lineages: FieldForm<SessionState['lineages']> = {
  schema: v.array(v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.array(natural))),
  initial: [],
};

const FORMS: { readonly [Name in SavedField]: FieldForm<SessionState[Name]> } = {
  plane: { schema: natural, initial: 0, check: (plane, { planes }) => Math.min(plane, planes - 1) },
  currentTrack: { schema: positive, initial: 1 },
  prompts: {
    schema: v.array(promptSchema),
    initial: [],
    toJson: (prompts) => prompts.map(promptJson),
    check: (prompts, image) => prompts.map((prompt) => checkPrompt(prompt, image)),
  },
  lineages,
  currentLineages: lineages,
  editing: { schema: natural, initial: undefined },
};

const SETTINGS: { readonly [Name in keyof SessionSettings]: v.GenericSchema<unknown, SessionSettings[Name]> } = {
  positive: v.boolean(),
  tool: v.picklist(TOOLS),
  brushSize: v.number(),
  batched: v.boolean(),
  autoCommit: v.boolean(),
  preserveMode: v.picklist(['objects', 'pixels', 'none']),
  preservationThreshold: v.number(),
  classNames: v.array(v.string()),
  hoverPreview: v.boolean(),
  autoSegment: v.boolean(),
  annotator: v.picklist(['auto', '2d', '3d', 'tracking']),
  projection: v.picklist(['auto', ...PROJECTION_NAMES]),
  iouThreshold: v.number(),
  boxExtension: v.number(),
  motionSmoothing: v.number(),
  trackDirection: v.picklist(['forward', 'backward', 'both']),
  trackState: v.picklist(['track', 'division']),
  applyToVolume: v.boolean(),
  automatic: v.object({
    mode: v.optional(v.picklist(AUTOMATIC_MODES)),
    pointsPerSide: v.optional(positive),
    preset: v.optional(v.picklist(PRESET_NAMES)),
    mirror: v.optional(v.boolean()),
    refine: v.optional(v.boolean()),
    thresholds: v.partial(
      v.object({
        rule: v.picklist(INSTANCE_RULES),
        centerDistanceThreshold: v.number(),
        boundaryDistanceThreshold: v.number(),
        foregroundThreshold: v.number(),
        distanceSmoothing: v.number(),
        foregroundSmoothing: v.number(),
        maxOverlap: v.number(),
        predIouThresh: v.number(),
        stabilityScoreThresh: v.number(),
        boxNmsThresh: v.number(),
        minObjectSize: v.number(),
        maxObjectSize: v.number(),
        minVisibleShare: v.number(),
      }),
    ),
  }),
  gapClosing: natural,
  minExtent: natural,
  minOverlap: v.number(),
};

/** Lasts as long as the hand works on an object: a session begins with positive points. */
const HELD: keyof SessionSettings = 'positive';

/** Some or all of the fields and settings as JSON; null for a field that is absent. */
export type FieldsJson = Readonly<Record<string, unknown>>;

/** For an object schema: every field may be left out. */
export const fieldSchemas: Readonly<Record<SavedField | 'settings', v.GenericSchema<unknown, unknown>>> = {
  settings: v.optional(v.partial(v.object(SETTINGS))),
  ...optionalFields(),
};

function optionalFields(): Record<SavedField, v.GenericSchema<unknown, unknown>> {
  const fields: Partial<Record<SavedField, v.GenericSchema<unknown, unknown>>> = {};
  for (const name of SAVED_FIELDS) fields[name] = v.optional(v.nullable(FORMS[name].schema));
  return fields as Required<typeof fields>;
}

/** All fields of a state; or those that differ from `before`, where that is given. */
export function fieldsJson(state: SessionState, before?: SessionState): FieldsJson {
  const json: Record<string, unknown> = {};
  for (const name of SAVED_FIELDS) {
    const value = state[name];
    if (before && before[name] === value) continue;
    const { toJson } = FORMS[name] as FieldForm<unknown>;
    if (value !== undefined) json[name] = toJson ? toJson(value) : value;
    else if (before) json[name] = null;
  }
  const settings = Object.entries(state.settings).filter(([name, value]) => {
    return name !== HELD && before?.settings[name as keyof SessionSettings] !== value;
  });
  if (!before || settings.length > 0) json.settings = Object.fromEntries(settings);
  return json;
}

/** The fields that are there, as `fieldSchemas` gave them; those that are null come back as undefined. */
export function fieldsFromJson(json: FieldsJson, image: ImageInfo): Partial<Restored> {
  const fields: Record<string, unknown> = {};
  for (const name of SAVED_FIELDS) {
    const value = json[name];
    if (value === undefined) continue;
    const { check } = FORMS[name] as FieldForm<unknown>;
    fields[name] = value === null ? undefined : check ? check(value, image) : value;
  }
  if (json.settings) fields.settings = json.settings;
  return fields;
}

/** What was saved of a state. */
export type Restored = Pick<SessionState, SavedField | 'layers'> & { readonly settings: Partial<SessionSettings> };

/** Where nothing was saved. */
export function nothingSaved(): Restored {
  const initial = Object.fromEntries(SAVED_FIELDS.map((name) => [name, FORMS[name].initial]));
  return { ...(initial as Pick<SessionState, SavedField>), layers: NO_OBJECTS, settings: {} };
}

/** For `AnnotationSession.open`: without what points to nothing. Settings that were not saved stay as they are there. */
export function restorable({ editing, settings, ...state }: Restored): Partial<SessionState> {
  return {
    ...state,
    settings: settings as SessionSettings,
    ...(editing !== undefined && state.layers.committed_objects.objects.has(editing) && { editing }),
  };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SamError('invalid_argument', 'The session file is not JSON: it may be cut off.', { cause });
  }
}

export function parseWith<S extends v.GenericSchema>(schema: S, json: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new SamError(
    'invalid_argument',
    `The ${what} is damaged at ${v.getDotPath(issue) ?? 'the top'}: ${issue.message}.`,
  );
}
