/** Writes the version of package.json wherever else it must stand. `npm version` runs it; a test fails where they differ. */
import { readFileSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const PLACES = {
  'src/version.ts': /(?<=VERSION = ')[^']+/,
  'manifest.imjoy.json': /(?<="version": ")[^"]+/g,
  'plugin/micro-sam.imjoy.html': /(?<="version": ")[^"]+/,
  'docs/bioengine/manifest.yaml': /(?<=^version: ).+/m,
  'docs/bioengine/micro_sam_worker.py': /(?<=^VERSION = ")[^"]+/m,
};
for (const [file, pattern] of Object.entries(PLACES))
  writeFileSync(file, readFileSync(file, 'utf8').replace(pattern, version));
