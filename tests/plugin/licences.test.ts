import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { bundledPackages, isPermissive } = await import(pathToFileURL(path.resolve('plugin', 'licences.mjs')).href);

describe('licences of what comes with it', () => {
  it('are permissive where one of the alternatives is', () => {
    for (const licence of ['MIT', 'Apache-2.0', '(MIT OR GPL-3.0)', 'MIT AND ISC'])
      assert.ok(isPermissive(licence), licence);
    for (const licence of ['GPL-3.0', 'none', 'MIT AND GPL-3.0', 'SEE LICENSE IN FILE'])
      assert.ok(!isPermissive(licence), licence);
  });

  it('are those of the packages that are bundled, however deep, and of those that are copied', () => {
    const inputs = {
      'src/a.ts': {},
      'node_modules/ol/Map.js': {},
      'node_modules/zarrita/node_modules/@zarrita/storage/index.js': {},
    };
    const names = bundledPackages(inputs);
    assert.ok(names.includes('ol') && names.includes('@zarrita/storage') && names.includes('minisam'));
    assert.ok(!names.includes('zarrita'));
  });
});
