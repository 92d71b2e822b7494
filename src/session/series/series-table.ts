/** Tables of several images as one, with a first column that names the image. CSV by RFC 4180, as io/results/csv.ts writes it. */
export function joinTables(tables: readonly { readonly name: string; readonly csv: string }[]): string {
  const parsed = tables.map(({ name, csv }) => {
    const [heads = [], ...rows] = parseCsv(csv);
    return { name, heads, rows };
  });
  const columns = [...new Set(parsed.flatMap(({ heads, rows }) => (rows.length > 0 ? heads : [])))];
  const lines = [['image', ...columns]];
  for (const { name, heads, rows } of parsed) {
    const place = columns.map((column) => heads.indexOf(column));
    for (const row of rows) lines.push([name, ...place.map((at) => (at < 0 ? '' : row[at]))]);
  }
  return lines.map((line) => `${line.map(quoted).join(',')}\r\n`).join('');
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function parseCsv(csv: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  // A cell: quoted with doubled quotes inside, or plain; and what ends it.
  for (const [, inner, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|$)/g)) {
    if (end === '' && row.length === 0 && (inner ?? plain) === '') break;
    row.push(inner === undefined ? plain : inner.replaceAll('""', '"'));
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
