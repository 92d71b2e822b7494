import assert from 'node:assert/strict';
import { labelsToCsv } from '../../src/io/results/csv.js';
import { labelsToGeoJson } from '../../src/io/results/geojson.js';
import { labelExport } from '../../src/session/label-export.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { documentOf, WALK_IMAGE } from '../support/session-walk.js';

async function twoDiscs(): Promise<AnnotationSession> {
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, new DiscAnnotator([60, 80]));
  for (const [id, y, x] of [
    ['a', 20, 30],
    ['b', 45, 60],
  ] as const) {
    await session.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at: [y, x], positive: true }] });
    await session.run('commit');
  }
  return session;
}

const objects = { layer: 'committed_objects', ids: [1] } as const;

describe('what a person says of objects', () => {
  it('goes by keys and by the form, is undone, and the same class once more is none', async () => {
    const session = await twoDiscs();
    const of = (id: number) => session.state.layers.committed_objects.objects.get(id);
    const before = documentOf(session.state);
    await assert.rejects(session.run('class_3'), /Shift\+click/);
    await session.run('select_all');
    await session.run('class_3');
    await session.run('flag_objects');
    await session.run('describe_objects', { facts: { name: 'mitosis', comment: 'late' }, objects });
    assert.deepEqual([of(1)?.objectClass, of(1)?.name, of(2)?.flagged], [3, 'mitosis', true]);
    await session.run('class_3');
    assert.equal(of(2)?.objectClass, undefined);
    for (let k = 0; k < 4; k++) await session.run('undo');
    assert.equal(documentOf(session.state), before);
    await assert.rejects(session.run('describe_objects', { facts: { objectClass: 12 }, objects }), /from 1 to 9/);
  });

  it('stays with an object that is picked, corrected and committed again, and with the one in work', async () => {
    const session = await twoDiscs();
    await session.run('describe_objects', { facts: { name: 'first', objectClass: 2 }, objects });
    await session.run('pick_object', { id: 1 });
    await session.run('put_prompts', { prompts: [{ kind: 'point', id: 'c', plane: 0, at: [22, 32], positive: true }] });
    await session.run('class_4');
    await session.run('commit');
    const record = session.state.layers.committed_objects.objects.get(1);
    assert.deepEqual([record?.name, record?.objectClass, record?.prompts.length], ['first', 4, 2]);
    await session.run('pick_object', { id: 1 });
    await session.run('describe_objects', { facts: { comment: 'while in work' }, objects });
    await session.run('commit');
    assert.equal(session.state.layers.committed_objects.objects.get(1)?.comment, 'while in work');
  });

  it('is saved, and read back; files without it still open', async () => {
    const session = await twoDiscs();
    await session.run('set_settings', { classNames: ['', 'dividing'] });
    await session.run('describe_objects', {
      facts: { name: 'x', objectClass: 2, comment: 'y', flagged: true },
      objects,
    });
    const text = exportSession(session.state);
    const back = importSession(text, WALK_IMAGE);
    const { name, objectClass, comment, flagged } = back.layers?.committed_objects.objects.get(1) ?? {};
    assert.deepEqual([name, objectClass, comment, flagged], ['x', 2, 'y', true]);
    assert.deepEqual(back.settings?.classNames, ['', 'dividing']);
    const old = JSON.parse(text);
    delete old.settings.classNames;
    delete old.settings.autoCommit;
    for (const record of old.layers.committed_objects)
      for (const field of ['name', 'objectClass', 'comment', 'flagged']) delete record[field];
    assert.equal(importSession(JSON.stringify(old), WALK_IMAGE).layers?.committed_objects.objects.size, 2);
  });

  it('is in the tables and outlines that are exported', async () => {
    const session = await twoDiscs();
    await session.run('set_settings', { classNames: ['', 'dividing'] });
    const facts = { name: 'cell, left', objectClass: 2, comment: 'blurred', flagged: true };
    await session.run('describe_objects', { facts, objects });
    const given = labelExport(session.state);
    const [heads, first, second] = (await labelsToCsv(given.labels, given)).split('\r\n');
    assert.match(heads, /,name,class,class_name,comment,flagged$/);
    assert.match(first, /,"cell, left",2,dividing,blurred,1$/);
    assert.match(second, /,,,,,$/);
    const [feature] = JSON.parse(labelsToGeoJson(given.labels, given)).features;
    assert.equal(feature.properties.name, 'cell, left');
    assert.deepEqual(feature.properties.classification, { name: 'dividing' });
    assert.deepEqual(feature.properties.metadata, { comment: 'blurred', flagged: 'true' });
  });
});
