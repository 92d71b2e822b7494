/**
 * How the built-in models are made and scored; needs the labelled images beside the project (`MICRO_SAM_TEST_DATA`).
 *
 *   npm run models -- lm [--minutes 30] [--work DIR]
 *       from MobileSAM's weights to the files of msi_lm, in DIR; at most so long, then it says how to go on
 *   npm run models -- score [--sets NAME,…] [--models NAME,…] [--encoder_delta FILE] [--decoder FILE] [--instances FILE]
 *       [--write]
 *       what models make of images that they were not trained on, image by image
 *   npm run models -- finetune [--base vit_t] [--seed 1] [--minutes 60] [--work DIR]
 *       what a model gains by `micro-sam train` on a dozen images, scored on others of the same source, fold by fold
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'));

const [name, ...args] = process.argv.slice(2);
if (!['lm', 'score', 'finetune'].includes(name)) {
  console.error('npm run models -- lm, npm run models -- score, or npm run models -- finetune');
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
