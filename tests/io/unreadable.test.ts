import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { UNREADABLE, unreadableFormat } from '../../src/io/unreadable.js';
import { dataPath, withData } from '../support/data.js';

const bytes = (text: string, at = 0) =>
  Uint8Array.from({ length: at + text.length + 40 }, (_, i) => text.charCodeAt(i - at) || 0);
const refusal = (name: string, content: Uint8Array) =>
  openImage(memoryBytes(content, name)).then(
    () => assert.fail(`${name} was opened`),
    (error) => error as { code: string; message: string; details: { feature: string } },
  );

describe('formats that are not read', () => {
  it('are named with advice, by their first bytes whatever the extension', async () => {
    for (const [name, content, expected] of [
      ['a.tif', bytes('ZISRAWFILE'), /Zeiss CZI.*ZEN/],
      ['a.tif', bytes('\xda\xce\xbe\x0a'), /Nikon ND2.*NIS-Elements/],
      ['a.tif', bytes('\x70\0\0\0\x10\0\0\0\x2a'), /Leica LIF.*LAS X/],
      ['a.tif', bytes('OLYMPUSRAWFORMAT'), /Olympus OIR.*Fiji/],
      ['a.tif', bytes('\xff\xfe[\0P\0r\0o\0f\0i\0l\0e\0S\0a\0v\0e\0I\0n\0f\0o\0]\0'), /Olympus OIF.*\.files/],
      ['a.oib', bytes('\xd0\xcf\x11\xe0'), /an Olympus OIB file/],
      ['a.zvi', bytes('\xd0\xcf\x11\xe0'), /a Zeiss ZVI file/],
      ['a.tif', bytes('DICM', 128), /DICOM.*dcm2niix/],
      ['a', bytes('MAP ', 208), /MRC.*TIFF/],
      ['a', bytes('\0\0\0\x04\0\0\0\0\0\0\x10\0\0\0\0\x01'), /Digital Micrograph/],
      ['a.tif', bytes('NRRD0005'), /NRRD.*NIfTI/],
      ['a.tif', bytes('SIMPLE  =                    T'), /FITS/],
      ['a.jpg', bytes('\0\0\0\x18ftypheic'), /HEIC/],
      ['a.jpg', bytes('\0\0\0\x18ftypavif'), /AVIF/],
      ['a.jpg', bytes('\xff\x0a'), /JPEG XL/],
      ['a.jpg', bytes('\0\0\0\x0cJXL '), /JPEG XL/],
      ['a.tif', bytes('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer.*git lfs pull/],
      ['a.tif', bytes('/annex/objects/SHA256E-s1--ab.tif'), /git-annex.*annex get/],
      ['._a.tif', bytes('\0\x05\x16\x07\0\x02'), /macOS.*"\._"/],
      ['movie.dat', bytes('\0\0\0\x18ftypisom'), /film.*frames/],
      ['a.dm4', bytes('?'), /Digital Micrograph/],
    ] as const) {
      const { code, message } = await refusal(name, content);
      assert.equal(code, 'unsupported', name);
      assert.match(message, expected);
      assert.match(message, /These can be read: TIFF/);
    }
  });

  it('which look like a readable one are known by their extension: a preview is never shown for the image', async () => {
    for (const name of ['slide.vsi', 'slide.mrxs']) {
      const { message } = await refusal(name, bytes('II*\0\x08\0\0\0'));
      assert.match(message, /folder beside it/);
    }
  });

  it('which are a folder are named, too', async () => {
    const entries = new Map([['attributes.json', bytes('{"n5":"2.5.1"}')]]);
    for (const store of ['data.n5', 'data'])
      await assert.rejects(openImage(memoryStore(store, entries)), { code: 'unsupported', message: /N5.*OME-Zarr/ });
  });

  it('and what is no image at all, but text or an interrupted copy, is told as that', async () => {
    const { message } = await refusal('a.tif', new TextEncoder().encode('{"message": "Not Found"}'));
    assert.match(message, /it is text that begins with "\{"message": "Not Found"\}"/);
    assert.match((await refusal('a.tif', new Uint8Array(5000))).message, /begins with zeros.*copy it again/);
    assert.doesNotMatch((await refusal('a.tif', bytes('\x01\x02'))).message, /it is text/);
  });

  it('all have advice, and no two the same extension', () => {
    const extensions = UNREADABLE.flatMap((format) => format.extensions ?? []);
    assert.equal(new Set(extensions).size, extensions.length);
    for (const { what, advice } of UNREADABLE) assert.match(`${what}. ${advice}`, /^(an? |what ).+\. .+\.$/);
    assert.equal(unreadableFormat('a.tif', new Uint8Array(8)), undefined);
  });

  for (const [file, expected] of [
    ['unknown.mrc', /MRC/],
    ['unknown.dm3', /Digital Micrograph/],
    ['unknown.nrrd', /NRRD/],
    ['unknown.oir', /OIR/],
    ['unknown.heic', /HEIC/],
    ['pointer.tif', /Git LFS/],
    ['hidden_files/._t0.tif', /macOS/],
  ] as const)
    withData(`${file} is named`, async () => {
      const { message } = await refusal(file, readFileSync(dataPath(`f_reports/${file}`)));
      assert.match(message, expected);
    });
});
