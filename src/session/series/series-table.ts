import type { RecordingPosition } from '../../io/recording.js';
import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';

/**
 * The table of all objects of a series. The objects of each image are kept as a table of their own; the joined one is
 * written to the output in the background, and each table is read once, so that leaving an image costs the same however
 * many images there are.
 */
export class SeriesTable {
  private readonly tables = new Map<string, Promise<ParsedTable | undefined>>();
  private existing?: Promise<ReadonlySet<string>>;
  private writing?: Promise<void>;
  private stale = false;

  /** @param names of all images, in the order of the table */
  constructor(
    private readonly names: readonly string[],
    private readonly store: Store,
    private readonly output: Store,
  ) {}

  /**
   * Keeps the objects of an image; resolves when they are stored.
   *
   * @param part of a recording with time and depth: the objects of its other parts stay
   */
  async set(name: string, csv: string, part?: RecordingPosition): Promise<void> {
    const table = part ? withPart(await (this.tables.get(name) ?? this.read(name)), parsed(csv), part) : parsed(csv);
    const text = part ? lineOf(table.heads) + table.rows.map(lineOf).join('') : csv;
    await this.store.set(keyOf(name), new TextEncoder().encode(text));
    this.tables.set(name, Promise.resolve(table));
    this.stale = true;
    this.begin().catch(() => undefined); // tried again with the next image, and told by `written`
  }

  /** Resolves when the joined table is in the output. */
  async written(): Promise<void> {
    await (this.stale ? this.begin() : this.writing);
  }

  private begin(): Promise<void> {
    this.writing ??= this.write();
    return this.writing;
  }

  private async write(): Promise<void> {
    try {
      while (this.stale) {
        await pause(); // who leaves an image is served first
        this.stale = false;
        await this.output.set(TABLE, new TextEncoder().encode(await this.joined()));
      }
    } catch (error) {
      this.stale = true;
      throw error;
    } finally {
      this.writing = undefined;
    }
  }

  private async joined(): Promise<string> {
    this.existing ??= listKeys(this.store, FOLDER).then((keys) => new Set(keys));
    const existing = await this.existing;
    const tables: { readonly name: string; readonly table: ParsedTable }[] = [];
    for (const name of this.names) {
      const known = this.tables.get(name) ?? (existing.has(keyOf(name)) ? this.read(name) : undefined);
      const table = await known;
      if (table) tables.push({ name, table });
    }
    return joinParsed(tables);
  }

  private read(name: string): Promise<ParsedTable | undefined> {
    const table = this.store.get(keyOf(name)).then((bytes) => bytes && parsed(new TextDecoder().decode(bytes)));
    this.tables.set(name, table);
    table.catch(() => this.tables.delete(name));
    return table;
  }
}

/** The table of all objects, in the output. */
export const TABLE = 'objects.csv';

const FOLDER = 'tables/';

function keyOf(name: string): string {
  return `${FOLDER}${encodeURIComponent(name)}.csv`;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

interface ParsedTable {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Its lines as they were joined last, for which columns. */
  lines?: { readonly columns: string; readonly text: string };
}

function parsed(csv: string): ParsedTable {
  const [heads = [], ...rows] = parseCsv(csv);
  return { heads, rows };
}

/** The table with the rows of one part replaced. */
function withPart(before: ParsedTable | undefined, now: ParsedTable, { t, z }: RecordingPosition): ParsedTable {
  const wanted = [t, z].map((value) => (value === undefined ? '' : String(value)));
  const isOfPart = (row: readonly string[], heads: readonly string[]) =>
    ['t', 'z'].every((column, i) => (row[heads.indexOf(column)] ?? '') === wanted[i]);
  const kept = (before?.rows ?? []).filter((row) => !isOfPart(row, before?.heads ?? []));
  if (kept.length === 0) return now;
  const heads = [...new Set([...(before?.heads ?? []), ...now.heads])];
  const arranged = (rows: ParsedTable['rows'], from: readonly string[]) =>
    rows.map((row) => heads.map((head) => row[from.indexOf(head)] ?? ''));
  return { heads, rows: [...arranged(kept, before?.heads ?? []), ...arranged(now.rows, now.heads)] };
}

/** Tables of several images as one, with a first column that names the image. CSV by RFC 4180, as io/results/csv.ts writes it. */
function joinParsed(tables: readonly { readonly name: string; readonly table: ParsedTable }[]): string {
  const columns = [...new Set(tables.flatMap(({ table }) => (table.rows.length > 0 ? table.heads : [])))];
  const head = lineOf(['image', ...columns]);
  return head + tables.map(({ name, table }) => linesOf(name, table, columns, head)).join('');
}

function linesOf(name: string, table: ParsedTable, columns: readonly string[], head: string): string {
  if (table.lines?.columns === head) return table.lines.text;
  const place = columns.map((column) => table.heads.indexOf(column));
  const text = table.rows.map((row) => lineOf([name, ...place.map((at) => row[at] ?? '')])).join('');
  table.lines = { columns: head, text };
  return text;
}

function lineOf(cells: readonly string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function parseCsv(csv: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  // A cell: quoted with doubled quotes inside, or plain; and what ends it.
  for (const [, inner, plain = '', end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|$)/g)) {
    if (end === '' && row.length === 0 && (inner ?? plain) === '') break;
    row.push(inner === undefined ? plain : inner.replaceAll('""', '"'));
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
