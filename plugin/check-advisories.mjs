/**
 * `npm run check:advisories`: is any installed package, of those in package-lock.json, known to be vulnerable? Works
 * without a network, against plugin/advisories.json. `--online` asks the registry, too, and says so where it does not answer.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const STALE_DAYS = 365;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Advisories that hold for a lock file's packages, a sentence for each. */
export function findings(lock, advisories) {
  return Object.entries(lock.packages).flatMap(([folder, { version }]) => {
    const name = folder.split('node_modules/').at(-1);
    return advisories
      .filter((one) => one.package === name && version && one.affected.some((range) => isWithin(version, range)))
      .map(({ id, title }) => `${name} ${version}: ${title} (${id})`);
  });
}

/** Of ranges, what the list uses: comparisons that all hold, e.g. '>=8.0.0 <8.17.1'. A pre-release counts as its release. */
export function isWithin(version, range) {
  return range.split(' ').every((part) => {
    const [, sign, limit] = /^(<=|>=|<|>)(\d+\.\d+\.\d+)$/.exec(part);
    const order = compare(version, limit);
    return { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[sign];
  });
}

function compare(a, b) {
  const [left, right] = [a, b].map((version) => version.split(/[.+-]/, 3).map(Number));
  const k = left.findIndex((number, i) => number !== right[i]);
  return k < 0 ? 0 : left[k] - right[k];
}

function main() {
  const { asOf, advisories } = JSON.parse(readFileSync(path.join(root, 'plugin', 'advisories.json'), 'utf8'));
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const found = findings(lock, advisories);
  for (const line of found) console.error(line);
  const days = Math.round((Date.now() - Date.parse(asOf)) / 86_400_000);
  if (days > STALE_DAYS)
    console.error(`The list is of ${asOf}, ${days} days old: look for new advisories and renew it.`);
  console.log(`${found.length} of ${advisories.length} known advisories (as of ${asOf}) hold for what is installed.`);
  if (process.argv.includes('--online')) askRegistry();
  process.exitCode = found.length > 0 ? 1 : 0;
}

function askRegistry() {
  const { stdout } = spawnSync('npm', ['audit', '--json'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const { metadata } = readJson(stdout);
  console.log(
    metadata
      ? `The registry knows of ${metadata.vulnerabilities.total} more or less serious ones; npm audit lists them.`
      : 'Skipped: the registry does not answer questions about advisories.',
  );
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
