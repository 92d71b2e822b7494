import assert from 'node:assert/strict';
import { decode } from 'fast-png';
import { renderPicture } from '../../src/evaluation/picture.js';
import { meanScores, reportToHtml, type ScoreRow, scoresToCsv } from '../../src/evaluation/report.js';

const rows: ScoreRow[] = [
  { image: 'a, "b".tif', setting: 'one', scores: { msa: 0.5, sa50: 1 } },
  { image: 'c.tif', setting: 'one', scores: { msa: 0.25, sa50: 0 } },
  { image: 'c.tif', setting: '<two>', scores: { msa: 0.75 } },
  { image: 'a, "b".tif', setting: '<two>', scores: {}, error: 'The file is empty.' },
];

describe('report', () => {
  it('means are over the images that have scores', () => {
    assert.deepEqual(meanScores(rows), [
      { image: 'mean of 2', setting: 'one', scores: { msa: 0.375, sa50: 0.5 } },
      { image: 'mean of 1', setting: '<two>', scores: { msa: 0.75 } },
    ]);
  });

  it('CSV quotes what needs quotes and keeps every row', () => {
    const lines = scoresToCsv(rows).trim().split('\r\n');
    assert.equal(lines[0], 'image,setting,msa,sa50,error');
    assert.equal(lines[1], '"a, ""b"".tif",one,0.5,1,');
    assert.equal(lines.length, 1 + rows.length + 2);
  });

  it('HTML escapes names and holds the pictures', () => {
    const html = reportToHtml({
      title: 'A & B',
      rows,
      pictures: [{ image: 'c.tif', setting: '<two>', png: Uint8Array.of(1, 2, 3) }],
      facts: { command: 'evaluate' },
    });
    assert.ok(html.includes('A &amp; B') && html.includes('&lt;two&gt;') && !html.includes('<two>'));
    assert.ok(html.includes('data:image/png;base64,AQID'));
    assert.ok(html.includes('The file is empty.'));
  });

  it('marks the better of two settings, but not where they agree, nor numbers of objects', () => {
    const scores = (msa: number, dice: number, predictedObjects: number) => ({ msa, dice, predictedObjects });
    const html = reportToHtml({
      title: 'Two',
      rows: [
        { image: 'a', setting: 'one', scores: scores(0.25, 0.5, 7) },
        { image: 'a', setting: 'two', scores: scores(0.75, 0.5, 9) },
      ],
    });
    const marked = [...html.matchAll(/<td class="best">([^<]*)</g)].map(([, text]) => text);
    assert.deepEqual(marked, ['0.750', '0.750'], 'in the means, and in the table of the images');
  });

  it('of one setting is a table of images and scores', () => {
    const html = reportToHtml({ title: 'One', rows: rows.slice(0, 2) });
    assert.match(html, /<tr><td>c\.tif<\/td><td>0\.250<\/td><td>0<\/td><\/tr>/);
  });

  it('pictures draw outlines in the colours they promise', () => {
    const image = { data: new Uint8Array(6 * 6 * 3).fill(10), shape: [6, 6] as const };
    const square = new Uint32Array(36);
    for (const p of [14, 15, 20, 21]) square[p] = 1;
    const labels = { data: square, shape: [6, 6] };
    const png = decode(renderPicture({ image: { ...image, shape: [6, 6, 3] }, reference: labels, prediction: labels }));
    const at = (y: number, x: number) => [...png.data.slice(3 * (y * 6 + x), 3 * (y * 6 + x) + 3)];
    assert.deepEqual(at(2, 3), [255, 255, 255]);
    assert.deepEqual(at(0, 0), [10, 10, 10]);
    const alone = decode(renderPicture({ image: { ...image, shape: [6, 6, 3] }, reference: labels }));
    assert.deepEqual([...alone.data.slice(3 * 15, 3 * 15 + 3)], [0, 220, 90]);
  });
});
