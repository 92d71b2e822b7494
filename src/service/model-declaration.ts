import * as v from 'valibot';
import { messageOf, SamError } from '../errors.js';
import { keysOf } from '../items.js';
import { FAMILIES } from '../model/families.js';
import { DECODER_FAMILIES } from '../model/model-spec.js';
import { MODEL_NAME, MODEL_NAME_RULE, type ModelDeclaration } from '../model/registry.js';
import { problemOf } from './problem.js';

/** A model as people declare it: in a call of the service, or as a JSON file. */
const text = v.pipe(v.string(), v.nonEmpty());
const colour = v.tuple([v.number(), v.number(), v.number()], 'expected three numbers, for red, green and blue');
const file = v.union([
  text,
  v.strictObject({
    url: text,
    bytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    sha256: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/i, 'expected 64 hexadecimal digits'))),
    digest: v.optional(v.string()),
  }),
]);
const number = v.pipe(v.number(), v.finite());

/** A level that has one name on both sides may be given by that. */
const level = v.union([
  v.strictObject({ output: text, input: text }),
  v.pipe(
    text,
    v.transform((name) => ({ output: name, input: name })),
  ),
]);

export const declarationSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(MODEL_NAME, MODEL_NAME_RULE)),
  description: v.optional(v.string()),
  licence: v.optional(v.string()),
  encoder: v.optional(file),
  decoder: v.optional(file),
  instances: v.optional(file),
  family: v.optional(v.picklist(keysOf(FAMILIES))),
  encoderInput: v.optional(
    v.strictObject({
      name: v.optional(text),
      output: v.optional(text),
      layout: v.optional(v.picklist(['nchw', 'hwc'])),
      side: v.optional(v.pipe(v.number(), v.integer(), v.minValue(16), v.maxValue(4096))),
      resize: v.optional(v.picklist(['longest-side', 'stretch'])),
      mean: v.optional(colour),
      std: v.optional(colour),
    }),
  ),
  decoderInput: v.optional(
    v.strictObject({
      family: v.optional(v.picklist(DECODER_FAMILIES)),
      names: v.optional(v.record(v.string(), text)),
      levels: v.optional(v.pipe(v.array(level), v.maxLength(4))),
      padding: v.optional(v.picklist(['caller', 'graph'])),
    }),
  ),
  earlyFeatures: v.optional(v.record(v.string(), text)),
  defaults: v.optional(
    v.strictObject({
      predIouThresh: v.optional(number),
      stabilityScoreThresh: v.optional(number),
      minObjectSize: v.optional(number),
      centerDistanceThreshold: v.optional(number),
      boundaryDistanceThreshold: v.optional(number),
      foregroundThreshold: v.optional(number),
    }),
  ),
});

/**
 * @param whence for messages: what the declaration was read from
 * @throws SamError `invalid_argument` that names the first member that is wrong
 */
export function declarationOf(value: unknown, whence: string): ModelDeclaration {
  const result = v.safeParse(declarationSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new SamError(
    'invalid_argument',
    `${whence} declares no model: ${path ? `${path}: ` : ''}${problemOf(issue)}.`,
    {
      details: { path },
    },
  );
}

/** @throws SamError `invalid_argument` */
export function declarationInJson(json: string, whence: string): ModelDeclaration {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new SamError('invalid_argument', `${whence} is not JSON: ${messageOf(cause)}.`, { cause });
  }
  return declarationOf(value, whence);
}
