/**
 * Of several images that hands ask for, the one asked for last is opened, however long each takes to be recognised: one that
 * was asked for earlier gives way to it, and never takes its place.
 */
export class LastAsked {
  private asked = 0;
  private begun = 0;

  /** To be called when the hand moves; the answer says, when it is about to be opened, whether it still may. */
  ask(): MayOpen {
    const turn = ++this.asked;
    return () => {
      if (turn < this.begun) return false;
      this.begun = turn;
      return true;
    };
  }
}

export type MayOpen = () => boolean;
