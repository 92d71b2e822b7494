/**
 * JSON as Python writes it: NaN, Infinity and -Infinity may stand where numbers do (zarr-python puts them into attributes
 * and fill values).
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
      token.startsWith('"') ? token : `"${MARK}${token}"`,
    );
    if (marked === text) throw error;
    return JSON.parse(marked, (_, value) =>
      typeof value === 'string' && value.startsWith(MARK) ? Number(value.slice(MARK.length)) : value,
    );
  }
}

/** No text of a real file begins so. */
const MARK = '\uf8ffnumber:';

/** As zarr v3 spells such numbers, which zarrita understands: as text. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_, item) => (typeof item === 'number' && !Number.isFinite(item) ? String(item) : item));
}

/** JSON with NaN and Infinity as they were read, for files that hold them already. */
export function stringifyAsRead(value: unknown): string {
  const marked = JSON.stringify(
    value,
    (_, item) => (typeof item === 'number' && !Number.isFinite(item) ? `${MARK}${item}` : item),
    2,
  );
  return marked.replace(new RegExp(`"${MARK}(-?\\w+)"`, 'g'), '$1');
}
