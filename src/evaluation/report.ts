/**
 * Scores as tables: CSV for programs, one HTML file with pictures for people. Several settings (models, thresholds)
 * stand side by side; the mean over images, not over pooled objects, is the figure to quote.
 */
export interface ScoreRow {
  readonly image: string;
  /** What was compared, e.g. 'vit_t, AMG'. */
  readonly setting: string;
  readonly scores: Readonly<Record<string, number>>;
  /** Why there are no scores. */
  readonly error?: string;
}

export interface ReportPicture {
  readonly image: string;
  readonly setting: string;
  readonly png: Uint8Array;
}

export interface Report {
  readonly title: string;
  readonly rows: readonly ScoreRow[];
  readonly pictures?: readonly ReportPicture[];
  /** What the outlines in the pictures are. */
  readonly legend?: string;
  /** Facts to repeat the run: version, command line, model hash. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** Mean of each score over the images of a setting that have it. */
export function meanScores(rows: readonly ScoreRow[]): ScoreRow[] {
  return settingsOf(rows).map((setting) => {
    const own = rows.filter((row) => row.setting === setting && !row.error);
    const scores: Record<string, number> = {};
    for (const name of scoreNames(own)) {
      const values = own.map((row) => row.scores[name]).filter((value) => value !== undefined);
      scores[name] = values.reduce((sum, value) => sum + value, 0) / values.length;
    }
    return { image: `mean of ${own.length}`, setting, scores };
  });
}

function settingsOf(rows: readonly ScoreRow[]): string[] {
  return [...new Set(rows.map((row) => row.setting))];
}

function scoreNames(rows: readonly ScoreRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.scores)))];
}

/** Header, a line per row, then the means. RFC 4180. */
export function scoresToCsv(rows: readonly ScoreRow[]): string {
  const names = scoreNames(rows);
  const lines = [...rows, ...meanScores(rows)].map((row) => [
    row.image,
    row.setting,
    ...names.map((name) => row.scores[name]?.toString() ?? ''),
    row.error ?? '',
  ]);
  return `${[['image', 'setting', ...names, 'error'], ...lines].map((line) => line.map(csvCell).join(',')).join('\r\n')}\r\n`;
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; margin: 1rem 0; }
  th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
  th:first-child, td:first-child, .text { text-align: left; }
  tr.mean td { font-weight: 600; }
  td.best { background: color-mix(in srgb, #2a9d63 25%, transparent); }
  .pictures { display: flex; gap: 1rem; margin-bottom: 1rem; }
  .pictures.one { display: inline-flex; margin-right: 1rem; }
  figure { margin: 0; min-width: 0; }
  figure img { max-width: min(340px, 100%); display: block; }
  figcaption { font-size: 13px; opacity: .8; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px; }
  dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }`;

const LEGEND = 'Reference green, prediction magenta, both white.';

/** One self-contained HTML page. */
export function reportToHtml(report: Report): string {
  const names = scoreNames(report.rows);
  const settings = settingsOf(report.rows);
  const facts = Object.entries(report.facts ?? {}).map(
    ([k, v]) => `<dt>${escapeHtml(k)}</dt><dd>${escapeHtml(v)}</dd>`,
  );
  const images = [...new Set(report.rows.map((row) => row.image))];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(report.title)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(report.title)}</h1>
<h2>Means over images</h2>
${meansTable(meanScores(report.rows), names)}
<h2>Image by image</h2>
${
  settings.length === 1
    ? scoresTable(names, report.rows)
    : names.map((name) => imageTable(name, images, settings, report.rows)).join('\n')
}
${(report.pictures ?? []).length > 0 ? `<h2>Pictures</h2><p>${escapeHtml(report.legend ?? LEGEND)}</p>` : ''}
${images.map((image) => figures((report.pictures ?? []).filter((picture) => picture.image === image))).join('\n')}
${facts.length > 0 ? `<h2>How it was made</h2><dl>${facts.join('')}</dl>` : ''}
</body></html>
`;
}

function meansTable(means: readonly ScoreRow[], names: readonly string[]): string {
  const head = ['setting', ...names].map((name) => `<th>${escapeHtml(name)}</th>`).join('');
  const body = means.map((row) => {
    const cells = names.map((name) => {
      const best = isBest(
        name,
        row.scores[name],
        means.map((mean) => mean.scores[name]),
      );
      return `<td${best ? ' class="best"' : ''}>${number(row.scores[name])}</td>`;
    });
    return `<tr class="mean"><td>${escapeHtml(`${row.setting} (${row.image})`)}</td>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

/** Of several: where the settings do not agree. More objects are not better. */
function isBest(name: string, value: number | undefined, all: readonly (number | undefined)[]): boolean {
  if (value === undefined || /objects/i.test(name)) return false;
  return all.every((other) => other === undefined || other <= value) && all.some((other) => other !== value);
}

/** Of one setting: images down, scores across. */
function scoresTable(names: readonly string[], rows: readonly ScoreRow[]): string {
  const head = ['image', ...names].map((text) => `<th>${escapeHtml(text)}</th>`).join('');
  const body = rows.map(({ image, scores, error }) => {
    const cells = error
      ? `<td class="text" colspan="${names.length}">${escapeHtml(error)}</td>`
      : names.map((name) => `<td>${number(scores[name])}</td>`).join('');
    return `<tr><td>${escapeHtml(image)}</td>${cells}</tr>`;
  });
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

/** One score: images down, settings across. */
function imageTable(
  name: string,
  images: readonly string[],
  settings: readonly string[],
  rows: readonly ScoreRow[],
): string {
  const head = ['image', ...settings].map((text) => `<th>${escapeHtml(text)}</th>`).join('');
  const body = images.map((image) => {
    const own = settings.map((setting) => rows.find((row) => row.image === image && row.setting === setting));
    const values = own.map((row) => row?.scores[name]);
    const cells = own.map((row) => {
      if (row?.error) return `<td class="text">${escapeHtml(row.error)}</td>`;
      const value = row?.scores[name];
      return `<td${isBest(name, value, values) ? ' class="best"' : ''}>${number(value)}</td>`;
    });
    return `<tr><td>${escapeHtml(image)}</td>${cells.join('')}</tr>`;
  });
  return `<h3>${escapeHtml(name)}</h3><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

/** Of one image, side by side. */
function figures(pictures: readonly ReportPicture[]): string {
  return pictures.length === 0
    ? ''
    : `<div class="pictures${pictures.length === 1 ? ' one' : ''}">${pictures.map(figure).join('')}</div>`;
}

function figure({ image, setting, png }: ReportPicture): string {
  let binary = '';
  for (let i = 0; i < png.length; i += 0x8000) binary += String.fromCharCode(...png.subarray(i, i + 0x8000));
  const caption = escapeHtml(`${image}: ${setting}`);
  return `<figure><img alt="${caption}" src="data:image/png;base64,${btoa(binary)}"><figcaption>${caption}</figcaption></figure>`;
}

function number(value: number | undefined): string {
  return value === undefined ? '' : Number.isInteger(value) ? String(value) : value.toFixed(3);
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
