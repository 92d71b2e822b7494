/**
 * Bundles the test (or bench) files with esbuild and runs them.
 *
 *   node tests/run.mjs                            the ordinary tests, in four processes, two of them at a time
 *   node tests/run.mjs name ...                   every tests/**\/*.test.ts whose path contains a name, thorough ones too
 *   node tests/run.mjs [name ...] --grep=undo     of those, the tests whose title contains this
 *   node tests/run.mjs --unit | --real | --browser   a part of them (parts.mjs)
 *   node tests/run.mjs [name ...] --thorough      only the tests with "(thorough)" in their title
 *   node tests/run.mjs [name ...] --long          only the tests with "(long)" in their title
 *   node tests/run.mjs [name ...] --times         and tells where the time went
 *   node tests/run.mjs --integration [name ...]   those of tests/integration, which need Python or other browsers
 *   node tests/run.mjs --bench [--json] [name …]  the benches of tests/bench
 *
 * Tests run under mocha; its last line is repeated as `N passed, N failed, N skipped`. Where CI is set, a test that fails is
 * tried once more, and the first failure is printed: machines that test are busy, and a browser's story is long. What failed
 * and what was tried again is told last, since of a long run often only the end is kept.
 */
import { spawn } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build, stop } from 'esbuild';
import { isOfPart, PARTS } from './parts.mjs';
import { timesOf } from './times.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const flag = { type: 'boolean', default: false };
const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    ...Object.fromEntries(PARTS.map((part) => [part, flag])),
    thorough: flag,
    long: flag,
    times: flag,
    integration: flag,
    bench: flag,
    json: flag,
    grep: { type: 'string' },
    share: { type: 'string' }, // "1/2": the first of two processes that run every other file each
    bundled: { type: 'string' }, // the folder where their files are bundled already
  },
});
const { bench, integration } = flags;
const parts = PARTS.filter((part) => flags[part]);

// One folder per process, so that two runs in one checkout do not disturb each other. Inside the checkout, so that
// packages resolve.
const ownFolder = path.join('dist', 'tests', String(process.pid));
process.on('exit', () => rmSync(ownFolder, { recursive: true, force: true }));

if (names.length === 0 && !bench && !integration && flags.share === undefined) await runBeside(processes());

/** Those of the browser beside those of the real model, since neither keeps two cores busy; others in two shares, one for each core. */
function processes() {
  const whole = parts.filter((part) => part !== 'unit');
  if (parts.length === 0) whole.push('real', 'browser');
  const shares = parts.length === 0 || parts.includes('unit') ? ['1/2', '2/2'] : [];
  return [...whole.map((part) => ({ part, share: '1/1' })), ...shares.map((share) => ({ part: 'unit', share }))];
}

async function runBeside(planned) {
  const built = await ended(spawn(process.execPath, ['plugin/build.mjs', '--quiet'], { stdio: 'inherit' }));
  if (built !== 0) throw new Error(`The build ended with code ${built}.`);
  const folderOf = (part) => path.join(ownFolder, part);
  const planParts = [...new Set(planned.map(({ part }) => part))];
  await Promise.all(planParts.map((part) => bundle(filesOf([part]), folderOf(part))));
  await stop();
  const waiting = [...planned];
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const runAllWaiting = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const given = [`--${next.part}`, `--share=${next.share}`, `--bundled=${folderOf(next.part)}`];
      const { code, text } = await runProcess(given, next === planned[0]);
      const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(text)?.slice(1).map(Number) ?? [0, 0, 0];
      for (const [k, name] of Object.keys(sum).entries()) sum[name] += counts[k];
      if (code !== 0 && counts[1] === 0) {
        sum.failed++;
        console.log(`Failed: the process of ${given.join(' ')} ended with code ${code}.\n`);
      }
    }
  };
  await Promise.all([runAllWaiting(), runAllWaiting()]);
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  process.exit(sum.failed > 0 ? 1 : 0);
}

/** @param shown what it prints is shown as it comes, else when it has ended */
async function runProcess(given, shown) {
  const passedOn = process.argv.slice(2).filter((argument) => !parts.some((part) => argument === `--${part}`));
  const command = [fileURLToPath(import.meta.url), ...given, ...passedOn];
  const child = spawn(process.execPath, ['--max-semi-space-size=64', ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    if (shown) process.stdout.write(chunk);
  });
  const code = await ended(child);
  if (!shown) process.stdout.write(text);
  return { code, text };
}

function ended(child) {
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? walk(file) : [file];
  });
}

function filesOf(itsParts) {
  return walk('tests')
    .filter((file) => file.endsWith(bench ? '.bench.ts' : '.test.ts'))
    .filter((file) => bench || file.startsWith(path.join('tests', 'integration')) === integration)
    .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
    .filter((file) => itsParts.length === 0 || itsParts.some((part) => isOfPart(file, part)))
    .sort();
}

/** Sources are left out of the source maps, which are read whenever a file is loaded: places in them are all that is told. */
async function bundle(entryPoints, outdir) {
  await build({
    entryPoints,
    outdir,
    outbase: 'tests',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
  });
}

const [share, shares] = (flags.share ?? '1/1').split('/').map(Number);
const entries = filesOf(parts).filter((_, k) => k % shares === share - 1);
if (entries.length === 0) {
  console.error(`No ${bench ? 'bench' : 'test'} file matches ${names.join(', ')}.`);
  process.exit(2);
}

const outdir = flags.bundled ?? ownFolder;
if (flags.bundled === undefined) {
  await bundle(entries, outdir);
  await stop();
}
const files = entries.map((file) => path.resolve(outdir, path.relative('tests', file).replace(/\.ts$/, '.mjs')));

if (bench) {
  const figures = [];
  let broken = false;
  for (const file of files) {
    const { default: run } = await import(pathToFileURL(file).href);
    const measured = await run().catch((error) => {
      console.error(error);
      broken = true; // the others are measured all the same
      return [];
    });
    for (const figure of measured) {
      figures.push(figure);
      const limit = figure.limit === undefined ? '' : `  (limit ${figure.limit}${figure.ok ? '' : ', NOT MET'})`;
      console.error(`${figure.name.padEnd(32)} ${Number(figure.value.toPrecision(4))} ${figure.unit}${limit}`);
    }
  }
  if (flags.json) {
    const os = await import('node:os');
    const machine = {
      name: 'machine',
      cpu: os.cpus()[0].model,
      cores: os.cpus().length,
      memory_gb: Math.round(os.totalmem() / 2 ** 30),
      node: process.version,
    };
    console.log(JSON.stringify([...figures, machine], null, 2));
  }
  process.exit(!broken && figures.every((figure) => figure.ok) ? 0 : 1);
}

process.setSourceMapsEnabled(true);
const { default: Mocha } = await import('mocha');
const mocha = new Mocha({
  timeout: 60_000,
  slow: 5_000,
  reporter: process.env.CI ? 'dot' : 'spec',
  forbidOnly: Boolean(process.env.CI),
  retries: process.env.CI ? 1 : 0,
});
if (flags.grep !== undefined) mocha.fgrep(flags.grep);
for (const file of files) mocha.addFile(file);
await mocha.loadFilesAsync();
keep(mocha.suite);
const told = [];
const counts = { passed: 0, failed: 0, skipped: 0 };
const runner = mocha.run((failures) => {
  for (const line of times?.lines() ?? []) console.log(line);
  for (const line of told) console.log(line);
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exit(failures > 0 ? 1 : 0);
});
runner.on('pass', () => counts.passed++);
runner.on('fail', (test, error) => {
  counts.failed++;
  told.push(`Failed: ${test.fullTitle()}\n${error.stack ?? error}\n`);
});
runner.on('pending', () => counts.skipped++);
runner.on('retry', (test, error) => told.push(`Tried again: ${test.fullTitle()}\n${error.stack ?? error}\n`));
const times = flags.times ? timesOf(runner, outdir) : undefined;

/** A run of everything takes minutes: what a shorter test proves in the main is thorough, what takes long is long. */
function isWanted(test) {
  const title = test.fullTitle();
  if (flags.long || title.includes('(long)')) return flags.long && title.includes('(long)');
  if (flags.thorough) return title.includes('(thorough)');
  return names.length > 0 || integration || !title.includes('(thorough)');
}

function keep(suite) {
  suite.tests = suite.tests.filter(isWanted);
  for (const inner of suite.suites) keep(inner);
}
