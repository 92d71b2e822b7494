/** One subcommand of `micro-sam`: its own file, loaded only when asked for. */
export interface Command {
  /** One line for `micro-sam help`. */
  readonly summary: string;
  /** Flags and arguments, as printed by `micro-sam <name> --help`; what comes before the first empty line, after a mistake, too. */
  readonly usage: string;
  /** @returns the exit code; a UsageError becomes 2, any other error 1 */
  run(args: readonly string[]): Promise<number>;
}

/** The command line is wrong; the message says how, and the beginning of the usage is printed below it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError for a value that is none of the names */
export function oneOf<T extends string>(flag: string, names: readonly T[], value: string): T {
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  throw new UsageError(`--${flag} is ${names.join(', ')}, not "${value}".`);
}
