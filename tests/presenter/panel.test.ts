import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { commandOfKey, findCommands, helpModel, paletteModel } from '../../src/presenter/keys.js';
import { panelModel, timeLeft } from '../../src/presenter/panel/panel.js';
import { COMMAND_LIST, COMMANDS } from '../../src/session/commands/commands.js';
import { AnnotationSession } from '../../src/session/session.js';
import { TOOLS } from '../../src/session/state.js';
import { keysMarkdown } from '../support/keys-page.js';
import { WALK_IMAGE } from '../support/session-walk.js';

const press = (code: string, ctrl = false, shift = false) => ({ code, ctrl, shift, alt: false });

describe('commands and keys', () => {
  it('every command stands under its id and says what it does', () => {
    for (const [id, command] of Object.entries(COMMANDS)) {
      assert.equal(command.id, id);
      assert.match(command.tooltip, /\.$/, id);
    }
  });

  it('no key has two meanings', () => {
    const keys = COMMAND_LIST.flatMap((command) => command.keys ?? []);
    assert.equal(new Set(keys).size, keys.length, `${keys}`);
  });

  it('the keys of micro-sam mean what they mean there', () => {
    assert.equal(commandOfKey(press('KeyS')), 'segment_object');
    assert.equal(commandOfKey(press('KeyC')), 'commit');
    assert.equal(commandOfKey(press('KeyC', false, true)), 'clear_annotations');
    assert.equal(commandOfKey(press('KeyT')), 'toggle_label');
  });

  it('modifiers count, and physical names are understood', () => {
    assert.equal(commandOfKey(press('KeyZ', true)), 'undo');
    assert.equal(commandOfKey(press('KeyZ', true, true)), 'redo');
    assert.equal(commandOfKey(press('KeyZ')), undefined);
    assert.equal(commandOfKey(press('KeyS', true)), 'export_labels');
    assert.equal(commandOfKey(press('Slash', false, true)), 'help');
    assert.equal(commandOfKey(press('F1')), 'help');
    assert.equal(commandOfKey(press('Backspace')), 'delete');
    assert.equal(commandOfKey(press('Escape')), 'cancel');
  });

  it('the help shows every key', () => {
    const shown = helpModel().flatMap(({ entries }) => entries.flatMap(({ keys }) => keys));
    for (const command of COMMAND_LIST) for (const key of command.keys ?? []) assert.ok(shown.includes(key), key);
  });

  it('signs that some keyboards have with Shift are the same keys', () => {
    assert.equal(commandOfKey(press('Equal', false, true)), 'zoom_in');
    assert.equal(commandOfKey(press('NumpadAdd')), 'zoom_in');
    assert.equal(commandOfKey(press('Digit0')), 'zoom_fit');
    assert.equal(commandOfKey(press('Period', false, true)), 'larger_brush');
    assert.equal(commandOfKey(press('KeyK', true)), 'command_palette');
    assert.equal(commandOfKey(press('Equal', true)), undefined, 'the browser zooms');
  });

  it('the list of all commands has each with its key, and finds what is typed', () => {
    const session = new AnnotationSession();
    const all = paletteModel(session.state);
    for (const { id, keys = [], needsArguments } of COMMAND_LIST)
      if (!needsArguments && id !== 'command_palette')
        assert.deepEqual(all.find(({ command }) => command === id)?.keys, keys, id);
    const find = (query: string) => findCommands(all, query).map(({ command }) => command);
    assert.equal(find('eras')[0], 'use_eraser');
    assert.equal(find('undo')[0], 'undo');
    assert.deepEqual(find('no such thing'), []);
    assert.equal(all.find(({ command }) => command === 'commit')?.reason, 'Open an image first.');
    assert.equal(all.find(({ command }) => command === 'paint')?.reason, 'Brush, eraser, fill');
  });

  it('every tool has a key; brush keys make it wider and narrower within limits', async () => {
    const session = new AnnotationSession();
    for (const tool of TOOLS) {
      const keys = tool === 'point' ? COMMANDS.toggle_tool.keys : COMMANDS[`use_${tool}`].keys;
      assert.equal(keys?.length, 1, tool);
      await session.run(`use_${tool}`);
      assert.equal(session.state.settings.tool, tool);
    }
    const widths: number[] = [];
    for (let k = 0; k < 60; k++) {
      await session.run('larger_brush');
      widths.push(session.state.settings.brushSize);
    }
    assert.deepEqual([widths[0], widths[10], widths.at(-1)], [11, 28, 100]);
    for (let k = 0; k < 60; k++) await session.run('smaller_brush');
    assert.equal(session.state.settings.brushSize, 1);
  });

  it('docs/keys.md is what the table says', () => {
    assert.equal(readFileSync('docs/keys.md', 'utf8'), keysMarkdown());
  });
});

describe('panel', () => {
  it('says what the tool in hand is for', async () => {
    const session = new AnnotationSession();
    session.open(WALK_IMAGE);
    const hint = () => panelModel(session.state, { now: 0 }).hint ?? '';
    assert.equal(hint(), 'Click a cell.');
    await session.run('set_settings', { tool: 'box' });
    assert.match(hint(), /^Drag a box/);
    await session.run('set_settings', { tool: 'polygon' });
    assert.match(hint(), /^Draw around/);
  });

  it('shows fraction and time left of running work', () => {
    const session = new AnnotationSession();
    session.open(WALK_IMAGE);
    const progress = { done: 3, total: 12, message: 'Encoding tile 3 of 12' };
    const tasks = [
      { id: 4, slot: 'prepare' as const, name: 'Compute embeddings', progress, startedAt: 1000 },
      { id: 7, slot: 'segment' as const, name: 'Segment', progress: { done: 0, total: 0, message: '' }, startedAt: 2 },
    ];
    assert.deepEqual(panelModel({ ...session.state, tasks }, { now: 13_000 }).progress, [
      { title: 'Compute embeddings', fraction: 0.25, text: 'Encoding tile 3 of 12 · about 40 s left', task: 4 },
      { title: 'Segment', text: '', task: 7 },
    ]);
  });

  it('rounds the time left as people say it', () => {
    assert.equal(timeLeft(1), 'about 5 s left');
    assert.equal(timeLeft(42), 'about 45 s left');
    assert.equal(timeLeft(61), 'about 2 min left');
    assert.equal(timeLeft(3600 * 2 + 60), 'about 2 h 1 min left');
    assert.equal(timeLeft(7199), 'about 2 h left');
  });

  it('offers sections of volumes, where the viewer shows them', () => {
    const session = new AnnotationSession();
    const offers = (sections: boolean) =>
      panelModel(session.state, { now: 0, sections })
        .sections.flatMap(({ controls }) => controls)
        .some((control) => control.kind === 'button' && control.command === 'toggle_sections');
    session.open(WALK_IMAGE);
    assert.equal(offers(true), false);
    session.open({ ...WALK_IMAGE, axes: 'zyx', planes: 3 });
    assert.deepEqual([offers(true), offers(false)], [true, false]);
  });

  it('has the same steps at the same places, whatever there is', async () => {
    const session = new AnnotationSession();
    const steps = () => panelModel(session.state, { now: 0 }).steps.map(({ command }) => command);
    const first = steps();
    assert.deepEqual(first.slice(0, 4), ['segment_object', 'commit', 'undo', 'redo']);
    session.open(WALK_IMAGE);
    assert.deepEqual(steps(), first);
    await session.run('paint', { tool: 'brush', path: [[20, 20]], radius: 4 });
    assert.deepEqual(steps(), first);
    await session.run('commit');
    assert.deepEqual(steps(), first);
  });

  it('folds away what was needed once', () => {
    const session = new AnnotationSession();
    const folded = () => panelModel(session.state, { now: 0 }).sections.flatMap((s) => (s.folded ? s.id : []));
    assert.deepEqual(folded(), []);
    session.open(WALK_IMAGE);
    assert.deepEqual(folded(), ['image']);
  });

  it('leads from the image to the saved file', async () => {
    const session = new AnnotationSession();
    const hint = () => panelModel(session.state, { now: 0 }).hint;
    const primary = () => {
      const { steps, sections } = panelModel(session.state, { now: 0 });
      return [...steps, ...sections.flatMap(({ controls }) => controls)].flatMap((control) =>
        control.kind === 'button' && control.primary ? control.command : [],
      );
    };
    assert.match(hint() ?? '', /^Open an image/);
    assert.deepEqual(primary(), ['open_image']);
    session.open(WALK_IMAGE);
    assert.equal(hint(), 'Click a cell.');
    await session.run('paint', { tool: 'brush', path: [[20, 20]], radius: 4 });
    assert.match(hint() ?? '', /Press C/);
    assert.deepEqual(primary(), ['commit']);
    await session.run('commit');
    assert.equal(hint(), 'Click the next cell.');
  });
});
