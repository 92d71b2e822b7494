import { SamError } from '../errors.js';
import { entriesOf, present } from '../items.js';
import type { OnnxModel } from '../onnx/model.js';
import type { DecoderLayout } from './model-spec.js';
import type { OrtSession, OrtTensor } from './runtime.js';

/** For each role of a decoder's inputs and outputs the names that exporters give it. */
export interface Roles<Role extends string> {
  readonly inputs: Readonly<Partial<Record<Role, readonly string[]>>>;
  readonly outputs: Readonly<Partial<Record<Role, readonly string[]>>>;
  /** Roles that a graph may lack. */
  readonly optional: readonly Role[];
}

/** What a graph calls the roles that it has. */
export type Names<Role extends string> = Readonly<Partial<Record<Role, string>>>;

/**
 * What a decoder's graph calls what: as declared, else the first known name that it has.
 *
 * @throws SamError `model_unavailable` if a role is missing, or if the graph takes what nobody would give it
 */
export function namesOf<Role extends string>(
  { graph }: OnnxModel,
  { inputs, outputs, optional }: Roles<Role>,
  { names = {}, levels = [] }: Pick<DecoderLayout, 'names' | 'levels'>,
): Names<Role> {
  const taken = graph.inputs.map(({ name }) => name);
  const given = graph.outputs.map(({ name }) => name);
  const found: Partial<Record<Role, string>> = {};
  const missing: string[] = [];
  for (const [known, own] of [
    [inputs, taken],
    [outputs, given],
  ] as const)
    for (const [role, usual] of entriesOf<Role, readonly string[]>(known)) {
      const candidates = names[role] === undefined ? usual : [names[role]];
      const name = candidates.find((candidate) => own.includes(candidate));
      if (name !== undefined) found[role] = name;
      else if (!optional.includes(role)) missing.push(`${role} (${candidates.join(' or ')})`);
    }
  const expected = [...Object.values(found), ...levels.map(({ input }) => input)];
  const unknown = taken.filter((name) => !expected.includes(name));
  missing.push(...levels.map(({ input }) => input).filter((input) => !taken.includes(input)));
  if (missing.length === 0 && unknown.length === 0) return found;
  throw new SamError(
    'model_unavailable',
    `This ONNX model is not a decoder as it is declared: it takes ${taken.join(', ')} and gives ${given.join(', ')}; ${[
      ...(missing.length > 0 ? [`missing ${missing.join(', ')}`] : []),
      ...(unknown.length > 0 ? [`nothing is known of ${unknown.join(', ')}`] : []),
    ].join('; ')}. Declare the family that exported it, or what it calls things (decoderInput.names, levels).`,
    { details: { inputs: taken, outputs: given, missing, unknown } },
  );
}

/** Runs a decoder. @param values for each role of its inputs how to make it; those that the graph lacks are not made */
export async function runByRoles<Role extends string>(
  session: OrtSession,
  names: Names<Role | 'masks' | 'scores'>,
  values: Readonly<Partial<Record<Role, () => OrtTensor>>>,
  others: Readonly<Record<string, OrtTensor>>,
): Promise<{ readonly masks: OrtTensor; readonly scores: OrtTensor }> {
  const feeds = { ...others };
  for (const [role, make] of entriesOf<Role, () => OrtTensor>(values)) {
    const name = names[role];
    if (name !== undefined) feeds[name] = make();
  }
  const [masks, scores] = [
    present<string>(names.masks, 'the name of an output'),
    present<string>(names.scores, 'the name of an output'),
  ];
  const outputs = await session.run(feeds, [masks, scores]);
  return { masks: outputs[masks], scores: outputs[scores] };
}
