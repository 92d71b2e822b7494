/**
 * Part of `npm run check`: the page, the command line and the library, type-checked with `noUncheckedIndexedAccess` (an
 * index may lead to nothing), but for the folders of BOUNDED, which `tsc -p tsconfig.json` checks without it.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Folders of numeric code. Their indices come from loops over arrays that the same function made or measured, by rows,
 * columns and strides, so the compiler could only be answered with a `!` for each of some thousand reads, which checks
 * nothing. Everywhere else indices come from files, from people or from other programs, where data can be short.
 */
const BOUNDED = ['src/ndimage', 'src/model', 'src/segmentation', 'src/onnx', 'src/training'];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
const { stdout, stderr, status, error } = spawnSync(
  process.execPath,
  [tsc, '--noEmit', '--pretty', 'false', '-p', 'plugin/tsconfig.json'],
  { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 },
);
if (error) throw error;

/** Each with the lines that are indented under it. */
const messages = stdout.split(/\n(?=\S)/).filter((message) => message.trim() !== '');
const wrong = messages.filter((message) => !BOUNDED.some((folder) => message.startsWith(`${folder}/`)));
if (wrong.length > 0 || (status !== 0 && messages.length === 0)) {
  console.error([...wrong, stderr].join('\n').trim() || `tsc ended with ${status} and said nothing.`);
  process.exit(1);
}
