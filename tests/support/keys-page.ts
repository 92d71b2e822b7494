import { helpModel } from '../../src/presenter/keys.js';

/** The page docs/keys.md. */
export function keysMarkdown(): string {
  const lines = ['# Keys', '', 'Generated from the command table (`src/session/commands/commands.ts`).'];
  for (const { title, entries } of helpModel()) {
    lines.push('', `## ${title}`, '', '| key or gesture | command | |', '| --- | --- | --- |');
    for (const entry of entries) {
      const keys = entry.keys.map((key) =>
        /^[A-Z0-9[\]?+,.-]$|\+|^(Delete|Escape|F1|Arrow\w+)$/.test(key) ? `\`${key}\`` : key,
      );
      lines.push(`| ${keys.join(', ')} | ${entry.title} | ${entry.tooltip} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
