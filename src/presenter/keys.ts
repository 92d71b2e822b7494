import { COMMAND_LIST, COMMANDS, type CommandGroup, type CommandId } from '../session/commands/commands.js';

/** Keys → commands, the help overlay and docs/keys.md, all from the command table. */

export interface KeyPress {
  /** As `KeyboardEvent.code`, by where the key is on a US keyboard: 'KeyS', 'BracketLeft', 'Delete'. */
  readonly code: string;
  readonly ctrl: boolean;
  readonly shift: boolean;
  readonly alt: boolean;
}

/** The command of a key press; `ctrl` also stands for the Mac's command key. */
export function commandOfKey(press: KeyPress): CommandId | undefined {
  return BINDINGS.get(nameOf(press));
}

/** All keys as the table writes them, e.g. 'Ctrl+Shift+Z'. */
export function nameOf({ code, ctrl, shift, alt }: KeyPress): string {
  const key = NAMES[code] ?? code.replace(/^(Key|Digit)/, '');
  if (key === '/' && shift) return '?'; // the only key whose shifted sign the table names
  return [ctrl && 'Ctrl', alt && 'Alt', shift && 'Shift', key].filter(Boolean).join('+');
}

const NAMES: Readonly<Record<string, string>> = {
  BracketLeft: '[',
  BracketRight: ']',
  Slash: '/',
  Backspace: 'Delete',
};

const BINDINGS = new Map<string, CommandId>(
  (Object.keys(COMMANDS) as CommandId[]).flatMap((id) => (COMMANDS[id].keys ?? []).map((key) => [key, id] as const)),
);

export interface HelpSection {
  readonly title: string;
  readonly entries: readonly { readonly keys: readonly string[]; readonly title: string; readonly tooltip: string }[];
}

const GROUPS: Readonly<Record<CommandGroup, string>> = {
  image: 'Image',
  prompts: 'Prompts',
  segment: 'Segment',
  automatic: 'Automatic segmentation',
  objects: 'Objects',
  tracks: 'Tracks',
  commit: 'Commit and undo',
  view: 'View',
  help: 'Help',
};

/** What can be done by key or by hand, by group. */
export function helpModel(): readonly HelpSection[] {
  return (Object.keys(GROUPS) as CommandGroup[]).flatMap((group) => {
    const entries = COMMAND_LIST.filter((command) => command.group === group && (command.keys || command.gesture)).map(
      ({ keys, gesture, title, tooltip }) => ({ keys: keys ?? [gesture ?? ''], title, tooltip }),
    );
    return entries.length > 0 ? [{ title: GROUPS[group], entries }] : [];
  });
}

/** The page docs/keys.md. */
export function keysMarkdown(): string {
  const lines = ['# Keys', '', 'Generated from the command table (`src/session/commands/commands.ts`).'];
  for (const { title, entries } of helpModel()) {
    lines.push('', `## ${title}`, '', '| key or gesture | command | |', '| --- | --- | --- |');
    for (const entry of entries) {
      const keys = entry.keys.map((key) => (/^[A-Z[\]?]$|\+|^(Delete|Escape|F1)$/.test(key) ? `\`${key}\`` : key));
      lines.push(`| ${keys.join(', ')} | ${entry.title} | ${entry.tooltip} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
