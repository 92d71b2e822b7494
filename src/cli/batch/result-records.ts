import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { codeOf, messageOf, SamError } from '../../errors.js';
import { fileNameOf, foldedName, folderOf } from '../../io/folder/file-names.js';
import { alternativeNames, isResultName, resultNames } from '../../io/folder/result-names.js';
import { withoutLogin } from '../../io/http.js';
import { isAddress } from '../../io/node-open.js';
import { itemAt } from '../../items.js';
import { contentOf, type Input } from './input.js';
import { describeChanges, type ResultSettings } from './result-settings.js';

/**
 * Which image each result in a folder is of. Names alone do not tell: another run may have been given another image of
 * the same name. One small file for each name, in `.micro-sam/` of the folder, made before the work begins and only if
 * nobody has that name; so processes side by side never take each other's.
 */
export const RECORDS = '.micro-sam';

const recordSchema = v.object({
  version: v.literal(1),
  /** What the results are called, before what their format adds. */
  name: v.string(),
  /** Path of the image from this folder, with slashes; or its address. */
  input: v.string(),
  /** Who wrote the results: a command. */
  by: v.optional(v.string()),
  /** Of the image when the results were written. */
  content: v.optional(v.string()),
  /** What the results were made with, if the command has settings. */
  settings: v.optional(v.record(v.string(), v.string())),
  formats: v.array(v.string()),
  /** Files and folders in this folder; none before the work is done. */
  results: v.array(v.string()),
});

type ResultRecord = v.InferOutput<typeof recordSchema>;

export interface FinishedWork {
  /** The command whose work is not to be replaced by another. */
  readonly by: string;
  /** `contentOf` the image before it was read: one that is written meanwhile is another one. */
  readonly content?: string;
  readonly settings?: ResultSettings;
  readonly formats: readonly string[];
  /** Files in the folder, or what folders in it hold. */
  readonly results: readonly string[];
}

export class ResultFolder {
  private constructor(
    readonly folder: string,
    private readonly records: Map<string, ResultRecord>,
    private readonly occupied: ReadonlyMap<string, readonly string[]>,
  ) {}

  /**
   * Gives each input a name for its results: that of an earlier run, else one that no other has.
   *
   * @param inputs all of a batch, also those that other shards work on
   * @param options.force also names of files of which it is not known whose they are
   * @param options.own files that are known to be of an input although nobody noted it
   */
  static open(
    folder: string,
    inputs: readonly Input[],
    { force = false, own: ownFiles }: { force?: boolean; own?: ReadonlyMap<string, string | undefined> } = {},
  ): ResultFolder {
    const known = readRecords(folder);
    const wanted = resultNames(inputs.map(({ name }) => name));
    const own = new Map<string, ResultRecord>();
    const given = new Set<ResultRecord>();
    for (const { file } of inputs) {
      const record = known.find((one) => isOf(folder, one, file)) ?? known.find((one) => isMoved(folder, one, file));
      if (!record || given.has(record)) continue;
      given.add(record);
      const here = { ...record, input: placeFrom(folder, file) };
      if (here.input !== record.input) writeRecord(folder, here);
      own.set(file, here);
    }
    const occupied = new Map<string, readonly string[]>();
    const entries = existsSync(folder) ? readdirSync(folder) : [];
    for (const [i, input] of inputs.entries()) {
      if (own.has(input.file)) continue;
      const mine = ownFiles?.get(input.file);
      const others = entries.filter((name) => mine === undefined || path.resolve(folder, name) !== path.resolve(mine));
      const { record, files } = reserve(folder, input, itemAt(wanted, i), { known, entries: others, force });
      own.set(input.file, record);
      if (files.length > 0) occupied.set(input.file, files);
    }
    return new ResultFolder(folder, own, occupied);
  }

  /** What the results of this input are called. */
  nameOf(file: string): string {
    return this.recordOf(file).name;
  }

  /**
   * Whether the results of all these formats are there, of this input as it is now, and made with these settings; those
   * of another command, corrected ones perhaps, and of records that say nothing count whatever the settings.
   */
  has(file: string, formats: readonly string[], settings?: ResultSettings): boolean {
    const record = this.recordOf(file);
    if (settings && record.settings && describeChanges(record.settings, settings) !== '') return false;
    const there = record.results.length > 0 && record.results.every((name) => existsSync(path.join(this.folder, name)));
    return there && formats.every((format) => record.formats.includes(format)) && record.content === contentOf(file);
  }

  /** @throws SamError invalid_argument if results of this name are there, and it is not known of which image */
  checkKnown(file: string): void {
    const files = this.occupied.get(file);
    if (files)
      throw new SamError(
        'invalid_argument',
        `${path.join(this.folder, files[0] ?? '')} is there already, and it is not known of which image it is. Move it, choose another folder, or replace it with --force.`,
      );
  }

  /** @throws SamError invalid_argument also if another command made them, or the same one of this image with other settings */
  checkFree(file: string, { by, settings = {} }: { readonly by: string; readonly settings?: ResultSettings }): void {
    this.checkKnown(file);
    const { by: writer = by, results, content, settings: before = settings } = this.recordOf(file);
    const present = results.find((name) => existsSync(path.join(this.folder, name)));
    if (present === undefined) return;
    const place = path.join(this.folder, present);
    if (writer !== by)
      throw new SamError(
        'invalid_argument',
        `${place} was made with ${writer} and would be lost. Choose another folder, or replace it with --force.`,
      );
    const changes = describeChanges(before, settings);
    if (changes !== '' && content === contentOf(file))
      throw new SamError(
        'invalid_argument',
        `${place} was made with other settings (${changes}). Choose another folder, or replace it with --force.`,
      );
  }

  /** Says that results are there now. */
  finish(file: string, { by, content = contentOf(file), settings, formats, results }: FinishedWork): void {
    const mine = this.recordOf(file);
    // What another command of the same folder has noted meanwhile stays.
    const record = readRecord(recordFile(this.folder, mine.name)) ?? mine;
    // What was written of another image, or with other settings, may still be there, but is no result of this work.
    const goesOn = record.content === content && describeChanges(record.settings ?? {}, settings ?? {}) === '';
    const names = new Set([...record.results, ...results.map((name) => name.replace(/\/.*$/s, ''))]);
    const next: ResultRecord = {
      ...record,
      input: placeFrom(this.folder, file),
      by,
      content,
      settings,
      formats: [...new Set([...(goesOn ? record.formats : []), ...formats])],
      results: [...names].filter((name) => existsSync(path.join(this.folder, name))),
    };
    this.records.set(file, next);
    writeRecord(this.folder, next);
  }

  private recordOf(file: string): ResultRecord {
    const record = this.records.get(file);
    if (record) return record;
    throw new SamError('internal', `${file} is not an input of this batch.`);
  }
}

/** What the embeddings of each input are called; the embeddings themselves say which pixels they are of. */
export function embeddingNames(inputs: readonly Input[]): Map<string, string> {
  const names = resultNames(inputs.map(({ name }) => name));
  return new Map(inputs.map(({ file }, i) => [file, itemAt(names, i)]));
}

/** A zarr in which this program or micro-sam keeps embeddings. */
export function holdsEmbeddings(folder: string): boolean {
  return ['zarr.json', '.zattrs'].some((name) => {
    const file = path.join(folder, name);
    return existsSync(file) && readFileSync(file, 'utf8').includes('"data_signature"');
  });
}

/**
 * Which of these names are results of this program, by the records of their folders.
 *
 * @param names paths from the root, with slashes
 */
export function recordedResults(root: string, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const folder of new Set(names.map(folderOf)))
    for (const { results } of readRecords(path.join(root, folder)))
      for (const name of results) found.add(folder + name);
  return found;
}

/** Takes the name that is wanted, or another if that is taken; made before anybody else can have it. */
function reserve(
  folder: string,
  { file, name: inputName }: Input,
  wanted: string,
  { known, entries, force }: { known: ResultRecord[]; entries: readonly string[]; force: boolean },
): { record: ResultRecord; files: readonly string[] } {
  const taken = new Set(known.map(({ name }) => foldedName(name)));
  for (const name of alternativeNames(wanted, isAddress(file) ? inputName : path.resolve(file))) {
    if (taken.has(foldedName(name))) continue;
    const record: ResultRecord = { version: 1, name, input: placeFrom(folder, file), formats: [], results: [] };
    const files = force ? [] : entries.filter((entry) => isResultName(entry, name));
    if (files.length > 0) return { record, files };
    if (!createRecord(folder, record)) {
      // Another process was faster: for the same image, if it is a part of the same batch.
      const other = readRecord(recordFile(folder, name));
      if (!other || !isOf(folder, other, file)) continue;
    }
    known.push(record);
    return { record, files: [] };
  }
  throw new SamError('internal', `There is no free name for the results of ${file}.`);
}

function isOf(folder: string, record: ResultRecord, file: string): boolean {
  return isAddress(file)
    ? record.input === placeFrom(folder, file)
    : !isAddress(record.input) && path.resolve(folder, record.input) === path.resolve(file);
}

/** The same image at another place, as after moving its folder: the place that was noted is empty. */
function isMoved(folder: string, { input, content }: ResultRecord, file: string): boolean {
  if (content === undefined || isAddress(input) || isAddress(file)) return false;
  if (fileNameOf(input) !== fileNameOf(file.replaceAll('\\', '/')) || existsSync(path.resolve(folder, input)))
    return false;
  return content === contentOf(file);
}

/** As it is noted, without a login. */
function placeFrom(folder: string, file: string): string {
  return isAddress(file)
    ? withoutLogin(file).address
    : path.relative(path.resolve(folder), path.resolve(file)).replaceAll(path.sep, '/');
}

function readRecords(folder: string): ResultRecord[] {
  const records = path.join(folder, RECORDS);
  if (!existsSync(records)) return [];
  const names = readdirSync(records).filter((name) => name.endsWith('.json'));
  return names.flatMap((name) => readRecord(path.join(records, name)) ?? []);
}

function readRecord(file: string): ResultRecord | undefined {
  try {
    const parsed = v.safeParse(recordSchema, JSON.parse(readFileSync(file, 'utf8')));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined; // not whole, or of somebody else: it says nothing
  }
}

function recordFile(folder: string, name: string): string {
  const folded = encodeURIComponent(foldedName(name));
  const short = folded.length <= 200 ? folded : createHash('sha1').update(folded).digest('hex');
  return path.join(folder, RECORDS, `${short}.json`);
}

/** @returns false if there is a record of this name */
function createRecord(folder: string, record: ResultRecord): boolean {
  const target = recordFile(folder, record.name);
  const unfinished = writeUnfinished(target, record);
  try {
    linkSync(unfinished, target);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    // A disk without links.
    if (existsSync(target)) return false;
    renameSync(unfinished, target);
    return true;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function writeRecord(folder: string, record: ResultRecord): void {
  const target = recordFile(folder, record.name);
  renameSync(writeUnfinished(target, record), target);
}

function writeUnfinished(target: string, record: ResultRecord): string {
  const unfinished = `${target}.unfinished-${process.pid}`;
  try {
    mkdirSync(path.dirname(target), { recursive: true });
    if (!statSync(path.dirname(target)).isDirectory()) throw new Error('not a folder');
    writeFileSync(unfinished, JSON.stringify(record, null, 1));
  } catch (cause) {
    throw new SamError('storage', `${path.dirname(target)} cannot be written: ${messageOf(cause)}`, { cause });
  }
  return unfinished;
}
