import * as v from 'valibot';
import { asSamError, SamError } from '../errors.js';
import { isArrayLike } from '../io/rpc-array.js';
import { itemAt, membersOf } from '../items.js';
import { isHandle } from './handle.js';
import { plainNumbers, scalarOf } from './ndarray.js';
import { problemOf, unknownName } from './problem.js';

/**
 * How a function of the service is called. Arguments come by position, by name in one last object, or both, so that
 * JavaScript (`f(points, { plane: 1 })`) and Python (`f(points, plane=1)`, which ImJoy turns into a last object with
 * the mark `_rkwargs`) mean the same. Names and values are checked once, here.
 */
export function method<Schema extends ArgumentSchema, Result>(
  name: string,
  /** The arguments that may come by position, in this order. */
  positional: readonly string[],
  schema: Schema,
  body: (options: v.InferOutput<Schema>) => Result | Promise<Result>,
): (...args: unknown[]) => Promise<Result> {
  return async (...args) => {
    try {
      return await body(parseArguments(name, positional, schema, args));
    } catch (error) {
      throw encodeError(error);
    }
  };
}

type ArgumentSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

function parseArguments<Schema extends ArgumentSchema>(
  name: string,
  positional: readonly string[],
  schema: Schema,
  args: readonly unknown[],
): v.InferOutput<Schema> {
  const rest = [...args];
  while (rest.length > 0 && (rest.at(-1) === undefined || rest.at(-1) === null)) rest.pop();
  const named: Record<string, unknown> = isOptions(rest.at(-1)) ? { ...membersOf(rest.pop()) } : {};
  delete named._rkwargs;
  delete named._rintf;
  if (rest.length > positional.length)
    throw new SamError(
      'invalid_argument',
      `${name} takes ${positional.length === 0 ? 'no arguments by position' : `${positional.length} arguments by position (${positional.join(', ')})`} and one object of options; it got ${rest.length} and ${Object.keys(named).length === 0 ? 'no' : 'an'} object of options.`,
    );
  rest.forEach((value, index) => {
    const key = itemAt(positional, index);
    if (Object.hasOwn(named, key))
      throw new SamError('invalid_argument', `${name} got "${key}" twice: by position and by name.`);
    named[key] = value;
  });
  const known = new Map(Object.entries(schema.entries));
  for (const [key, value] of Object.entries(named)) {
    const entry = known.get(key);
    if (!entry) throw new SamError('invalid_argument', `${unknownName(key, name, [...known.keys()])}.`);
    named[key] = scalarOf(value);
    // Python's None where the argument may be left out; where null says something, the schema takes it.
    if (value === null && !v.is(entry, null)) delete named[key];
  }
  const result = v.safeParse(schema, named);
  if (result.success) return result.output;
  const inLists = v.safeParse(
    schema,
    Object.fromEntries(Object.entries(named).map(([key, value]) => [key, plainNumbers(value)])),
  );
  if (inLists.success) return inLists.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new SamError('invalid_argument', `${name}${path ? `, ${path}` : ''}: ${problemOf(issue)}.`, {
    details: { argument: path },
  });
}

function isOptions(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || isArrayLike(value) || isHandle(value)) return false;
  if ('_rkwargs' in value) return true;
  // A Python object proxy has no prototype of ours.
  return Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
}

/**
 * Errors cross RPC as text alone, so the text begins with the code: `no_image: Open an image first.` In the same
 * process `code` can be read as it is.
 */
export function encodeError(error: unknown): SamError {
  const known = asSamError(error);
  return new SamError(known.code, `${known.code}: ${known.message}`, { details: known.details, cause: error });
}
