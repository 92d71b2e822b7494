/**
 * The parts of the suite, by what a test needs:
 *
 *   unit      nothing but this process
 *   real      the real model, the images of ../shared/data, or processes of its own
 *   browser   Chromium
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const PARTS = ['unit', 'real', 'browser'];

/** What makes a test one of `browser` or `real`, as it is imported by the test or by what it imports from tests/. */
const NEEDS_BROWSER = /^playwright-core$/;
const NEEDS_REAL =
  /^node:child_process$|tests\/support\/data\.ts$|^onnxruntime-node$|src\/model\/node-runtime|src\/worker\/hosts\/|src\/cli\/(engine|automatic-segmentation|micro-sam|train)|src\/training\/gradient-session/;

export function isOfPart(file, part) {
  return partOf(file) === part;
}

function partOf(file) {
  if (needs(file, NEEDS_BROWSER)) return 'browser';
  return needs(file, NEEDS_REAL) ? 'real' : 'unit';
}

function needs(file, pattern, seen = new Set()) {
  if (seen.has(file)) return false;
  seen.add(file);
  return importsOf(file).some((name) => pattern.test(name) || (name.startsWith('tests') && needs(name, pattern, seen)));
}

const known = new Map();

/** Files by their path from the root, packages by name; types are nothing that runs. */
function importsOf(file) {
  if (!known.has(file)) known.set(file, existsSync(file) ? readImports(file) : []);
  return known.get(file);
}

function readImports(file) {
  const code = readFileSync(file, 'utf8');
  return [...code.matchAll(/^(?:import|export)(?! type )[^;]*? from '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    ([, a, b]) => {
      const name = a ?? b;
      return name.startsWith('.') ? path.join(path.dirname(file), name.replace(/\.js$/, '.ts')) : name;
    },
  );
}
