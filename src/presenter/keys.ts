import { keysOf } from '../items.js';
import { COMMAND_LIST, COMMANDS, type CommandGroup, type CommandId } from '../session/commands/commands.js';
import type { SessionState } from '../session/state.js';

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
  if (key === '/' && shift) return '?';
  // With Shift on some keyboards, without on others.
  if (/^[+,.\d]$/.test(key)) return [ctrl && 'Ctrl', alt && 'Alt', key].filter(Boolean).join('+');
  return [ctrl && 'Ctrl', alt && 'Alt', shift && 'Shift', key].filter(Boolean).join('+');
}

const NAMES: Readonly<Record<string, string>> = {
  BracketLeft: '[',
  BracketRight: ']',
  Slash: '/',
  Backspace: 'Delete',
  Comma: ',',
  Period: '.',
  Equal: '+',
  NumpadAdd: '+',
  Minus: '-',
  NumpadSubtract: '-',
  Numpad0: '0',
};

const BINDINGS = new Map<string, CommandId>(
  keysOf(COMMANDS).flatMap((id) => (COMMANDS[id].keys ?? []).map((key) => [key, id] as const)),
);

export interface HelpSection {
  readonly title: string;
  readonly entries: readonly { readonly keys: readonly string[]; readonly title: string; readonly tooltip: string }[];
}

const GROUPS: Readonly<Record<CommandGroup, string>> = {
  image: 'Image',
  tools: 'Tools',
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
  return keysOf(GROUPS).flatMap((group) => {
    const entries = COMMAND_LIST.filter((command) => command.group === group && (command.keys || command.gesture)).map(
      ({ keys, gesture, title, tooltip }) => ({ keys: keys ?? [gesture ?? ''], title, tooltip }),
    );
    return entries.length > 0 ? [{ title: GROUPS[group], entries }] : [];
  });
}

/** One line of the list of all commands. */
export interface PaletteEntry {
  readonly command: CommandId;
  readonly title: string;
  readonly group: string;
  readonly tooltip: string;
  readonly keys: readonly string[];
  /** Why it cannot be chosen now, or what the hand does instead. */
  readonly reason?: string;
}

/** Every command with its key; those that the hand does by pointing say how. */
export function paletteModel(state: SessionState): readonly PaletteEntry[] {
  return COMMAND_LIST.filter(
    ({ id, needsArguments, gesture }) => id !== 'command_palette' && (!needsArguments || gesture),
  ).map(({ id, title, group, tooltip, keys = [], gesture, needsArguments, unavailable }) => {
    const reason = needsArguments ? gesture : unavailable?.(state);
    return {
      command: id as CommandId,
      title,
      group: GROUPS[group],
      tooltip,
      keys,
      ...(reason !== undefined && { reason }),
    };
  });
}

/** The entries that have all words of the query somewhere, those whose title begins with it first. */
export function findCommands(entries: readonly PaletteEntry[], query: string): readonly PaletteEntry[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ title }: PaletteEntry) => {
    const name = title.toLowerCase();
    return name.startsWith(words[0] ?? '') ? 0 : words.some((word) => name.includes(word)) ? 1 : 2;
  };
  return entries
    .filter((entry) => {
      const text = [entry.title, entry.group, entry.tooltip, ...entry.keys].join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .map((entry, index) => ({ entry, index }))
    .sort((a, b) => rank(a.entry) - rank(b.entry) || a.index - b.index)
    .map(({ entry }) => entry);
}
