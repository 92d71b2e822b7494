import { asSamError, codeOf, messageOf } from '../errors.js';
import { VERSION } from '../version.js';
import { type Command, UsageError } from './command.js';

/**
 * The `micro-sam` binary: finds the subcommand and turns what it throws into a message and an exit code (0 done, 1
 * failed, 2 wrong command line). Names and flags are those of micro-sam where it has them.
 */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  annotator_2d: async () => (await import('./annotators.js')).annotator2d,
  annotator_3d: async () => (await import('./annotators.js')).annotator3d,
  annotator_tracking: async () => (await import('./annotators.js')).annotatorTracking,
  image_series_annotator: async () => (await import('./annotators.js')).imageSeries,
  precompute_embeddings: async () => (await import('./precompute-embeddings.js')).precompute,
  automatic_segmentation: async () => (await import('./automatic-segmentation.js')).automatic,
  evaluate: async () => (await import('./evaluate.js')).evaluate,
  import_model: async () => (await import('./import-model.js')).importCommand,
  export_model: async () => (await import('./export-model.js')).exportCommand,
  train: async () => (await import('./train/train.js')).train,
  serve: async () => (await import('./annotators.js')).serve,
  info: async () => (await import('./info.js')).info,
  worker: async () => (await import('./worker.js')).worker,
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--version' || name === '-V') {
    console.log(VERSION);
    return 0;
  }
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    await printCommands();
    return name === undefined ? 2 : 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    console.error(`There is no command "${name}".`);
    await printCommands();
    return 2;
  }
  const command = await load();
  if (args.includes('--help') || args.includes('-h')) {
    console.log(`${command.summary}\n\n${command.usage}`);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    if (error instanceof UsageError || isParseArgsError(error)) {
      // The options are many, and would push what is wrong out of sight.
      const [synopsis] = command.usage.split('\n\n');
      console.error(`${messageOf(error)}\n\n${synopsis}\nmicro-sam ${name} --help tells the options.`);
      return 2;
    }
    console.error(asSamError(error).message);
    if (process.env.MICRO_SAM_DEBUG) console.error(error);
    return 1;
  }
}

async function printCommands(): Promise<void> {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  console.log('micro-sam <command> [options]\n');
  for (const [name, load] of Object.entries(COMMANDS))
    console.log(`  ${name.padEnd(width)}  ${(await load()).summary}`);
  console.log('\n  micro-sam <command> --help says more.');
}

/** Thrown by parseArgs of node:util for an unknown flag or a missing value. */
function isParseArgsError(error: unknown): boolean {
  return error instanceof TypeError && codeOf(error)?.startsWith('ERR_PARSE_ARGS') === true;
}

process.exitCode = await main(process.argv.slice(2));
