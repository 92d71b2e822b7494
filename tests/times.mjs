/** Where the time of a run goes: wall clock and processor, children that have ended included. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

export function timesOf(runner, outdir) {
  const tests = [];
  const files = new Map();
  let last = now();
  const take = () => {
    const before = last;
    last = now();
    return { wall: last.wall - before.wall, cpu: last.cpu - before.cpu };
  };
  const add = ({ wall, cpu }, suite) => {
    const file = path.relative(outdir, suite.file ?? '').replace(/\.mjs$/, '.ts');
    const sum = files.get(file) ?? { wall: 0, cpu: 0 };
    files.set(file, { wall: sum.wall + wall, cpu: sum.cpu + cpu });
  };
  runner.on('test end', (test) => {
    const time = take();
    tests.push({ ...time, title: test.fullTitle() });
    add(time, test);
  });
  runner.on('hook end', (hook) => add(take(), hook));
  runner.on('suite end', (suite) => suite.root || add(take(), suite));
  return {
    lines: () => {
      const row = ({ wall, cpu }, name) => `${seconds(wall)} ${seconds(cpu)}  ${name}`;
      const byTime = (a, b) => b.wall - a.wall;
      const total = [...files.values()].reduce((a, b) => ({ wall: a.wall + b.wall, cpu: a.cpu + b.cpu }));
      return [
        '\nwall s, processor s: all',
        row(total, `${files.size} files`),
        '\nof each file',
        ...[...files].sort(([, a], [, b]) => byTime(a, b)).map(([file, time]) => row(time, file)),
        '\nof the slowest tests, with the hooks before',
        ...tests
          .sort(byTime)
          .slice(0, 60)
          .map((test) => row(test, test.title)),
        '',
      ];
    },
  };
}

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(1).padStart(7);

function now() {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now(), cpu: (user + system) / 1000 + ofChildren() };
}

/** Of children that were waited for, where the system tells (Linux). */
function ofChildren() {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/\(.*\)/, 'name')
      .split(' ');
    return (Number(fields[15]) + Number(fields[16])) * 10; // cutime and cstime, in hundredths of a second
  } catch {
    return 0;
  }
}
