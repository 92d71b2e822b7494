/**
 * How the built-in models are made and scored; needs the labelled images beside the project (`MICRO_SAM_TEST_DATA`).
 *
 *   npm run models -- lm [--minutes 30] [--work DIR]
 *       from MobileSAM's weights to the files of msi_lm, in DIR; at most so long, then it says how to go on
 *   npm run models -- score [--sets NAME,…] [--models NAME,…] [--encoder_delta FILE] [--decoder FILE] [--instances FILE]
 *       [--write]
 *       what models make of images that they were not trained on, image by image
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'));

const [name, ...args] = process.argv.slice(2);
if (name !== 'lm' && name !== 'score') {
  console.error('npm run models -- lm, or npm run models -- score');
  process.exit(2);
}

// Inside the checkout, so that packages resolve.
const outfile = path.resolve('dist', 'recipes', `${name}-${process.pid}.mjs`);
process.on('exit', () => rmSync(outfile, { force: true }));
await build({
  entryPoints: [`tests/recipes/${name}.ts`],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
const { default: run } = await import(pathToFileURL(outfile).href);
process.exitCode = await run(args);
