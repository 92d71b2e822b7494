import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { findings, isWithin } = await import(pathToFileURL(path.resolve('plugin', 'check-advisories.mjs')).href);
const { advisories } = JSON.parse(readFileSync('plugin/advisories.json', 'utf8'));

describe('known advisories', () => {
  it('none holds for what is installed', () => {
    assert.deepEqual(findings(JSON.parse(readFileSync('package-lock.json', 'utf8')), advisories), []);
  });

  it('are found by name and version, at any depth', () => {
    const packages = {
      '': { version: '1.0.0' },
      'node_modules/ws': { version: '8.17.0' },
      'node_modules/a/node_modules/esbuild': { version: '0.24.2' },
      'node_modules/wsx': { version: '8.17.0' },
    };
    const lines = findings({ packages }, advisories);
    assert.equal(lines.length, 2);
    assert.match(lines.join('\n'), /^ws 8\.17\.0: .*CVE-2024-37890.*\nesbuild 0\.24\.2/);
  });

  it('ranges are compared by number', () => {
    assert.equal(isWithin('8.9.0', '>=8.0.0 <8.17.1'), true);
    assert.equal(isWithin('8.17.1', '>=8.0.0 <8.17.1'), false);
    assert.equal(isWithin('10.0.0', '<=9.9.9'), false);
    assert.equal(isWithin('1.2.3-beta.1', '>=1.2.3 <2.0.0'), true);
  });
});
