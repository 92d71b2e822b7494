import { writeFileSync } from 'node:fs';
import { hasData } from '../support/data.js';
import { formatsTable, readAllItems } from '../support/formats.js';
import { atLeast, type Figure, reported } from './figure.js';

/** How many images of the data folder decode to exactly the pixels of their manifest; writes docs/formats.md if asked. */
export default async (): Promise<Figure[]> => {
  if (!hasData) return [];
  const rows = await readAllItems();
  if (process.env.MICRO_SAM_WRITE_DOCS) writeFileSync('docs/formats.md', formatsTable(rows));
  const hashed = rows.filter(({ exact }) => exact !== undefined);
  const exact = hashed.filter((row) => row.exact);
  return [
    atLeast('formats_exact', exact.length, 'images', hashed.length),
    reported('formats_total', hashed.length, 'images'),
  ];
};
