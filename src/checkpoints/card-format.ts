import { membersOf } from '../items.js';

/**
 * Which version of this program's cards of models a card is of: of those in folders (`model.json`), imported and trained,
 * and of those that a browser keeps. One that does not say it is of the first; one of a later version was written by a newer
 * program, and is neither read nor written over.
 */
export const CARD_FORMAT = 1;

export function isNewerCard(card: unknown): boolean {
  const { format } = membersOf(card);
  return typeof format === 'number' && format > CARD_FORMAT;
}
