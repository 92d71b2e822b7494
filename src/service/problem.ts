import type * as v from 'valibot';
import { itemAt } from '../items.js';

/** What is wrong with an argument, in a sentence for whoever wrote the call. */
export function problemOf(issue: v.BaseIssue<unknown>): string {
  // The text of a schema of ours; the library's own begin like this.
  if (!/^Invalid /.test(issue.message)) return issue.message;
  if (issue.received === 'undefined') return 'is missing';
  const wanted = wantedBy(issue);
  return `expected ${wanted}, got ${issue.type === 'finite' ? 'infinity or no number' : shortly(issue.input)}`;
}

function wantedBy({ type, expected, requirement }: v.BaseIssue<unknown>): string {
  const limit = String(requirement);
  const told: Readonly<Record<string, string>> = {
    number: 'a number',
    nan: 'a number',
    string: 'text',
    boolean: 'true or false',
    array: 'a list',
    tuple: 'a list',
    record: 'an object',
    strict_object: 'an object',
    integer: 'a whole number',
    finite: 'a number',
    min_value: `at least ${limit}`,
    max_value: `at most ${limit}`,
    gt_value: `more than ${limit}`,
    non_empty: 'text that is not empty',
    min_length: `at least ${limit} entries`,
    max_length: `at most ${limit} entries`,
  };
  return told[type] ?? (expected ?? 'something else').replace(/^\(|\)$/g, '').replaceAll(' | ', ' or ');
}

/** A value as it may stand in a sentence. */
export function shortly(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))} …` : JSON.stringify(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return ArrayBuffer.isView(value) ? value.constructor.name : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

/** Of a name that nobody knows: what was meant, if that can be guessed, and what there is. */
export function unknownName(given: string, called: string, known: readonly string[]): string {
  const near = nearest(given, known);
  const taken = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`;
  return `\`${given.slice(0, 60)}\` is not an argument of ${called}; ${near ? `did you mean \`${near}\`? ${upper(taken)}` : taken}`;
}

function upper(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function nearest(given: string, known: readonly string[]): string | undefined {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const wanted = plain(given.slice(0, 60));
  const scored = known.map((name) => {
    const other = plain(name);
    const inside = wanted.length > 2 && (other.includes(wanted) || wanted.includes(other));
    return { name, distance: inside ? 1 : editDistance(wanted, other) };
  });
  const [best] = scored.sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(2, Math.floor(wanted.length / 3)) ? best.name : undefined;
}

/** Letters to change, add or leave out, at least (Levenshtein). */
function editDistance(a: string, b: string): number {
  const others = [...b];
  let row = [...others.keys(), others.length];
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of others.entries()) {
      const [above, before, left] = [itemAt(row, j + 1), itemAt(row, j), itemAt(next, j)];
      next.push(Math.min(left + 1, above + 1, before + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return itemAt(row, others.length);
}
