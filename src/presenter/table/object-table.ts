import { messageOf, SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import { EMPTY_MASK, maskCentroid } from '../../ndimage/rle.js';
import { areaOf } from '../../session/layers.js';
import type { ObjectLayer, ObjectRecord } from '../../session/state.js';

/**
 * The objects of a layer as rows: measured, sorted and filtered. Rows are kept per record, so that a commit among ten
 * thousand objects measures one.
 */
export interface TableRow {
  readonly id: number;
  /** In pixels, of all planes. */
  readonly area: number;
  readonly planes: number;
  /** (y, x) in pixels, in the plane `plane`, where most of it is. */
  readonly centroid: readonly [y: number, x: number];
  readonly plane: number;
  /** The model's own estimate of its IoU. */
  readonly score?: number;
  readonly stability?: number;
  readonly name: string;
  readonly objectClass?: number;
  readonly comment: string;
  readonly flagged: boolean;
}

/** Mean of the first channel under an object; undefined while it is not measured. */
export type Intensities = (record: ObjectRecord) => number | undefined;

export const COLUMNS = ['id', 'class', 'size', 'intensity', 'score', 'name'] as const;
export type Column = (typeof COLUMNS)[number];

export interface TableOrder {
  readonly column: Column;
  readonly descending: boolean;
}

export interface ObjectTable {
  readonly rows: readonly TableRow[];
  /** Of the layer, before the filter. */
  readonly total: number;
  /** Why the filter could not be read. */
  readonly problem?: string;
}

export function objectTable(
  layer: ObjectLayer,
  order: TableOrder,
  filter: string,
  intensity: Intensities = () => undefined,
): ObjectTable {
  let test: (row: TableRow) => boolean;
  try {
    test = parseFilter(filter, (row) => intensity(entryOf(layer.objects, row.id)));
  } catch (error) {
    return { rows: [], total: layer.objects.size, problem: messageOf(error) };
  }
  const rows: TableRow[] = [];
  for (const record of layer.objects.values()) {
    const row = rowOf(record);
    if (test(row)) rows.push(row);
  }
  const { column, descending } = order;
  if (column !== 'id' || descending)
    sortBy(rows, column, descending, (row) => intensity(entryOf(layer.objects, row.id)));
  return { rows, total: layer.objects.size };
}

const known = new WeakMap<ObjectRecord, TableRow>();

export function rowOf(record: ObjectRecord): TableRow {
  let row = known.get(record);
  if (row) return row;
  let [plane, largest] = [0, EMPTY_MASK];
  for (const [other, mask] of record.masks) if (mask.area > largest.area) [plane, largest] = [other, mask];
  row = {
    id: record.id,
    area: areaOf(record),
    planes: record.masks.size,
    centroid: maskCentroid(largest),
    plane,
    ...(record.predictedIou !== undefined && { score: record.predictedIou }),
    ...(record.stability !== undefined && { stability: record.stability }),
    name: record.name ?? '',
    ...(record.objectClass !== undefined && { objectClass: record.objectClass }),
    comment: record.comment ?? '',
    flagged: record.flagged ?? false,
  };
  known.set(record, row);
  return row;
}

/** Rows without a value come last in either direction; equal ones by their numbers. */
function sortBy(
  rows: TableRow[],
  column: Column,
  descending: boolean,
  intensity: (row: TableRow) => number | undefined,
) {
  if (column === 'name') {
    rows.sort((a, b) => {
      if (a.name === '' || b.name === '') return Number(a.name === '') - Number(b.name === '') || a.id - b.id;
      return (descending ? -1 : 1) * a.name.localeCompare(b.name) || a.id - b.id;
    });
    return;
  }
  const keyOf: Readonly<Record<Exclude<Column, 'name'>, (row: TableRow) => number | undefined>> = {
    id: ({ id }) => id,
    class: ({ objectClass }) => objectClass,
    size: ({ area }) => area,
    intensity,
    score: ({ score }) => score,
  };
  const sign = descending ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: keyOf[column](row) }));
  keyed.sort((a, b) => {
    if (a.key === undefined || b.key === undefined)
      return Number(a.key === undefined) - Number(b.key === undefined) || a.row.id - b.row.id;
    return sign * (a.key - b.key) || a.row.id - b.row.id;
  });
  rows.splice(0, rows.length, ...keyed.map(({ row }) => row));
}

/**
 * A filter as people type it: conditions side by side, all of which must hold. `size > 200`, `score < 0.8`,
 * `intensity >= 100`, `class = 2`, `id = 17`, `flagged`; any other word must be in name or comment.
 *
 * @throws SamError `invalid_argument` for a comparison that cannot be read
 */
function parseFilter(text: string, intensity: (row: TableRow) => number | undefined): (row: TableRow) => boolean {
  const values: Readonly<Record<string, (row: TableRow) => number | undefined>> = {
    size: ({ area }) => area,
    area: ({ area }) => area,
    score: ({ score }) => score,
    stability: ({ stability }) => stability,
    intensity,
    class: ({ objectClass }) => objectClass,
    id: ({ id }) => id,
    planes: ({ planes }) => planes,
  };
  const tests: ((row: TableRow) => boolean)[] = [];
  const joined = text.toLowerCase().replace(/\s*(<=|>=|!=|[<>=])\s*/g, '$1');
  for (const word of joined.split(/\s+/).filter(Boolean)) {
    const compared = /^([a-z]*)(<=|>=|!=|[<>=])(.*)$/.exec(word);
    if (!compared) {
      if (word === 'flagged') tests.push(({ flagged }) => flagged);
      else tests.push(({ name, comment }) => `${name} ${comment}`.toLowerCase().includes(word));
      continue;
    }
    const [, what = '', sign = '', number] = compared;
    const value = Object.hasOwn(values, what) ? values[what] : undefined;
    const holds = SIGNS[sign];
    const limit = Number(number);
    if (!value || !holds || number === '' || Number.isNaN(limit))
      throw new SamError(
        'invalid_argument',
        `"${word}" cannot be read. Write for example: size > 200, score < 0.8, intensity > 100, class = 2, flagged.`,
      );
    tests.push((row) => {
      const found = value(row);
      return found === undefined ? sign === '!=' : holds(found, limit);
    });
  }
  return (row) => tests.every((test) => test(row));
}

const SIGNS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};
