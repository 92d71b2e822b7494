import assert from 'node:assert/strict';
import type { RunningTask } from '../../src/session/state.js';
import { Tasks } from '../../src/session/tasks.js';
import type { TaskOptions } from '../../src/task.js';

/** Work that ends when it is told to. */
function held<T>(value: T) {
  let release = () => {};
  const done = new Promise<T>((resolve) => {
    release = () => resolve(value);
  });
  return { release: () => release(), work: () => done };
}

function watched() {
  let shown: readonly RunningTask[] = [];
  const tasks = new Tasks((now) => {
    shown = now;
  });
  return { tasks, names: () => shown.map(({ name }) => name), all: () => shown };
}

describe('tasks', () => {
  it('of one slot, the newer one supersedes, however fast they follow each other', async () => {
    const { tasks, names } = watched();
    for (let k = 0; k < 200; k++) {
      const first = assert.rejects(tasks.run('segment', 'Segment', held(0).work), { code: 'cancelled' });
      const second = held(k);
      const result = tasks.run('segment', 'Segment', second.work);
      await first;
      assert.deepEqual(names(), ['Segment'], `try ${k}: the second is still shown`);
      second.release();
      assert.equal(await result, k);
      assert.deepEqual(names(), []);
    }
  });

  it('of different slots, each is shown, gets on and ends by itself', async () => {
    const { tasks, names, all } = watched();
    const long = held('found');
    let report: Required<TaskOptions>['onProgress'] = () => {};
    const automatic = tasks.run('automatic', 'Find', ({ onProgress }) => {
      report = onProgress;
      return long.work();
    });
    const click = held('mask');
    const segmented = tasks.run('segment', 'Segment', click.work);
    assert.deepEqual(names(), ['Find', 'Segment']);
    click.release();
    await segmented;
    report({ done: 1, total: 2, message: 'half' });
    assert.deepEqual(names(), ['Find']);
    assert.equal(all()[0].progress.message, 'half');
    long.release();
    assert.equal(await automatic, 'found');
  });

  it('can be cancelled singly, by slot, all together, and by the caller', async () => {
    const { tasks, names, all } = watched();
    const caller = new AbortController();
    const start = (slot: 'prepare' | 'precompute' | 'segment' | 'model', signal?: AbortSignal) =>
      assert.rejects(
        tasks.run(
          slot,
          slot,
          (task) => new Promise(() => task.signal.addEventListener('abort', () => heard.push(slot))),
          signal,
        ),
        { code: 'cancelled' },
      );
    const heard: string[] = [];
    const ends = [start('prepare'), start('precompute', caller.signal), start('segment'), start('model')];
    tasks.cancel(all()[2].id);
    assert.deepEqual([names(), heard], [['prepare', 'precompute', 'model'], ['segment']]);
    tasks.cancel('prepare');
    assert.deepEqual(names(), ['precompute', 'model']);
    const later = start('segment');
    caller.abort();
    await ends[1];
    assert.deepEqual(names(), ['model', 'segment']);
    tasks.cancel();
    await Promise.all([...ends, later]);
    assert.deepEqual([names(), heard], [[], ['segment', 'prepare', 'precompute', 'model', 'segment']]);
    await assert.rejects(
      tasks.run('model', 'too late', () => assert.fail('not begun'), caller.signal),
      { code: 'cancelled' },
    );
  });

  it('ends for the user and for its caller alike, whichever of both cancels', async () => {
    const { tasks } = watched();
    const caller = new AbortController();
    const running = tasks.run('precompute', 'All planes', () => new Promise(() => {}), caller.signal);
    tasks.cancel();
    await assert.rejects(running, { code: 'cancelled' });
  });
});
