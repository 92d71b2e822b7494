import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf, SamError } from '../../errors.js';
import { shortNames } from '../../io/folder/result-names.js';
import { exportLabels, type LabelExport } from '../../io/results/export.js';
import type { ExportFormat } from '../../io/results/export-formats.js';
import { itemAt } from '../../items.js';
import type { TaskOptions } from '../../task.js';
import type { BatchItem } from './batch.js';
import { contentOf, type Input } from './input.js';
import { ResultFolder } from './result-records.js';
import type { ResultSettings } from './result-settings.js';

/** Work of a batch whose results lie in one folder. */
export interface ResultBatch {
  readonly folder: string;
  readonly formats: readonly ExportFormat[];
  /** The command, which may replace its own results. */
  readonly command: string;
  /** What its results depend on. */
  readonly settings?: ResultSettings;
  /** The images are other ones after it. */
  readonly changesImages?: boolean;
  /** Does the work again and replaces what is in the way. */
  readonly force?: boolean;
}

export interface ResultItem {
  readonly input: Input;
  /** What people call the image in this batch. */
  readonly title: string;
  /** What its results are called, before what their format adds. */
  readonly stem: string;
}

/**
 * One item for each input. An input whose results are there is skipped; a result that is in the way and not of this
 * input is never replaced.
 *
 * @param work gives the labels; what it calls `write` with, once or for each part of a recording, becomes the results when
 * it is done
 */
export function resultItems(
  inputs: readonly Input[],
  { folder, formats, command, settings, force = false, changesImages = false }: ResultBatch,
  work: (item: ResultItem, write: (labels: LabelExport) => Promise<void>, task: TaskOptions) => Promise<string>,
): BatchItem[] {
  const results = ResultFolder.open(folder, inputs, { force });
  const titles = shortNames(inputs.map(({ name }) => name));
  return inputs.map((input, i): BatchItem => {
    const { file } = input;
    const stem = results.nameOf(file);
    const write = async (labels: LabelExport, written: string[], task: TaskOptions) => {
      for (const format of formats)
        for (const { name, bytes } of await exportLabels(format, { ...labels, stem }, task)) {
          writeWhole(path.join(folder, name), bytes);
          written.push(name);
        }
    };
    return {
      name: itemAt(titles, i),
      exists: () => results.has(file, formats, settings),
      async run(task) {
        if (!force) results.checkFree(file, { by: command, settings });
        const content = changesImages ? undefined : contentOf(file);
        const written: string[] = [];
        const detail = await work(
          { input, title: itemAt(titles, i), stem },
          (labels) => write(labels, written, task),
          task,
        );
        results.finish(file, { by: command, content, settings, formats, results: written });
        return detail;
      },
    };
  });
}

/** Files appear whole or not at all: written beside their place, then renamed. */
export function writeWhole(target: string, content: Uint8Array | string): void {
  const unfinished = `${target}.unfinished-${process.pid}`;
  try {
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(unfinished, content);
    renameSync(unfinished, target);
  } catch (cause) {
    throw new SamError('storage', `${target} cannot be written: ${messageOf(cause)}`, { cause });
  }
}
