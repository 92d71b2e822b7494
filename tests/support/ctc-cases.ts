import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type CtcSequence, type CtcTrack, ctcScores } from '../../src/evaluation/ctc.js';
import { runPython } from './python.js';
import { randomInteger, seededRandom } from './random.js';

/** Our CTC measures beside an independent implementation from PyPI, on many perturbed results. */
export const CTC_PACKAGES = ['py-ctcmetrics==1.3.3', 'tifffile==2026.3.3', 'numpy==2.4.6'] as const;

export interface CtcComparison {
  /** Case and measure. */
  readonly name: string;
  readonly ours: number;
  readonly theirs: number;
}

/** SEG, DET and TRA of 40 results, the first of them perfect; `python` has CTC_PACKAGES. */
export function compareCtcMeasures(python: string): CtcComparison[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ctc-'));
  try {
    const cases: { reference: CtcSequence; computed: CtcSequence }[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed);
      const made = cells(random);
      cases.push({ reference: draw(made), computed: seed === 1 ? draw(made) : perturb(made, random) });
    }
    const save = (sequence: CtcSequence, file: string) => {
      const raw = new Uint16Array(T * H * W);
      for (const [t, frame] of sequence.frames.entries()) raw.set(frame.data, t * H * W);
      writeFileSync(path.join(folder, file), raw);
      return { shape: [T, H, W], file, tracks: sequence.tracks.map((t) => [t.label, t.begin, t.end, t.parent]) };
    };
    const described = cases.map(({ reference, computed }, i) => ({
      reference: save(reference, `${i}-reference`),
      computed: save(computed, `${i}-computed`),
    }));
    writeFileSync(path.join(folder, 'cases.json'), JSON.stringify(described));
    const theirs: Record<'SEG' | 'DET' | 'TRA', number>[] = JSON.parse(
      runPython(python, 'ctc_reference.py', folder).trim().split('\n').at(-1) as string,
    );
    return cases.flatMap(({ reference, computed }, i) => {
      const { seg, det, tra } = ctcScores(reference, computed);
      return [
        { name: `case ${i + 1}: SEG`, ours: seg, theirs: theirs[i].SEG },
        { name: `case ${i + 1}: DET`, ours: det, theirs: theirs[i].DET },
        { name: `case ${i + 1}: TRA`, ours: tra, theirs: theirs[i].TRA },
      ];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function largestDifference(compared: readonly CtcComparison[]): number {
  return compared.reduce((most, { ours, theirs }) => Math.max(most, Math.abs(ours - theirs)), 0);
}

const [T, H, W] = [8, 60, 80];

interface Cell {
  readonly label: number;
  readonly begin: number;
  readonly end: number;
  readonly parent: number;
  readonly y: number;
  readonly x: number;
  readonly dy: number;
  readonly dx: number;
  readonly r: number;
}

/** Drifting disks; every third one divides half-way. */
function cells(random: () => number): Cell[] {
  const made: Cell[] = [];
  for (let i = 0; i < 7; i++) {
    const y = 12 + 36 * random();
    const x = 12 + 56 * random();
    const base = { y, x, dy: random() * 2 - 1, dx: random() * 2 - 1, r: 4 + 3 * random() };
    const label = made.length + 1;
    if (i % 3 !== 0) {
      made.push({ ...base, label, begin: 0, end: T - 1, parent: 0 });
      continue;
    }
    const split = randomInteger(random, 2, T - 1);
    made.push({ ...base, label, begin: 0, end: split - 1, parent: 0 });
    for (const side of [-1, 1]) {
      made.push({
        ...base,
        x: x + side * 5,
        r: base.r * 0.7,
        label: made.length + 1,
        begin: split,
        end: T - 1,
        parent: label,
      });
    }
  }
  return made;
}

function draw(made: readonly Cell[]): CtcSequence {
  const frames = Array.from({ length: T }, (_, t) => {
    const data = new Uint32Array(H * W);
    for (const c of made) {
      if (t < c.begin || t > c.end) continue;
      for (let y = 0; y < H; y++)
        for (let x = 0; x < W; x++)
          if (Math.hypot(y - c.y - t * c.dy, x - c.x - t * c.dx) < c.r) data[y * W + x] = c.label;
    }
    return { data, shape: [H, W] };
  });
  return withTracks(frames, (label) => made.find((c) => c.label === label)?.parent ?? 0);
}

/** The track table that the frames imply: what is hidden entirely has no row. */
function withTracks(frames: CtcSequence['frames'], parentOf: (label: number) => number): CtcSequence {
  const seen = new Map<number, number[]>();
  frames.forEach((frame, t) => {
    for (const label of new Set(frame.data)) if (label) seen.set(label, [...(seen.get(label) ?? []), t]);
  });
  const tracks: CtcTrack[] = [...seen]
    .filter(([, times]) => times.length === (times.at(-1) as number) - times[0] + 1)
    .map(([label, times]) => ({ label, begin: times[0], end: times.at(-1) as number, parent: parentOf(label) }));
  const kept = new Set(tracks.map((track) => track.label));
  return {
    frames: frames.map(({ data, shape }) => ({ data: data.map((v) => (kept.has(v) ? v : 0)), shape })),
    tracks: tracks.map((track) => ({ ...track, parent: kept.has(track.parent) ? track.parent : 0 })),
  };
}

/** Missing, merged, shifted, swapped and invented cells; lost and invented parents. */
function perturb(made: readonly Cell[], random: () => number): CtcSequence {
  let changed = made.map((c) => ({ ...c }));
  changed = changed.filter(() => random() > 0.12);
  for (const c of changed) {
    if (random() < 0.3)
      Object.assign(c, { y: c.y + random() * 6 - 3, x: c.x + random() * 6 - 3, r: c.r * (0.6 + random()) });
    if (random() < 0.2) c.end = Math.max(c.begin, c.end - randomInteger(random, 0, 3));
    if (random() < 0.15) c.parent = 0;
  }
  if (random() < 0.5) {
    const label = Math.max(...made.map((c) => c.label)) + 1;
    changed.push({ label, begin: 1, end: 4, parent: 0, y: 8, x: 70, dy: 0.5, dx: -0.5, r: 5 });
  }
  if (random() < 0.4 && changed.length > 3) Object.assign(changed[0], { r: changed[0].r * 3 });
  return draw(changed);
}
