import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The code of a page of the docs: what is told there is what tests run. */
export function docCode(file: string, heading: string, language: string): string[] {
  const page = readFileSync(file, 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const blocks = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].filter(([, of]) => of === language);
  assert.ok(blocks.length > 0, `${file} has code in ${language} below "${heading}"`);
  return blocks.map(([, , code]) => code);
}

export function linesOf(code: string): number {
  return code.split('\n').filter((line) => line.trim() !== '').length;
}
