import type { Progress } from '../../task.js';

/**
 * Progress for people on stderr: one line that rewrites itself on a terminal, a line every few seconds elsewhere, and
 * always how much is left. `json` writes one object a line instead.
 */
export class ProgressLine {
  private startedAt = 0;
  private shownAt = 0;
  private width = 0;

  constructor(
    private readonly stream:
      | NodeJS.WriteStream
      | { write(text: string): unknown; isTTY?: boolean; columns?: number } = process.stderr,
    private readonly json = false,
    private readonly now: () => number = Date.now,
  ) {}

  /** Begins a new count: the time left is told from here. */
  start(): void {
    this.startedAt = this.now();
    this.shownAt = 0;
  }

  update({ done, total, message }: Progress): void {
    const now = this.now();
    const last = done >= total;
    const interval = this.json || !this.stream.isTTY ? 5000 : 100;
    if (!last && now - this.shownAt < interval) return;
    this.shownAt = now;
    const elapsed = (now - this.startedAt) / 1000;
    const left = done > 0 && total > 0 ? (elapsed / done) * (total - done) : undefined;
    if (this.json) {
      this.stream.write(`${JSON.stringify({ done, total, message, seconds_left: left && Math.round(left) })}\n`);
      return;
    }
    const percent = total > 0 ? `${Math.floor((100 * done) / total)} %`.padStart(5) : '';
    const rest = left !== undefined && !last ? `, ${duration(left)} left` : '';
    this.show(`${percent}  ${message}${rest}`);
  }

  /** Ends the line; what follows starts on a fresh one. */
  clear(): void {
    if (this.stream.isTTY && this.width > 0) this.stream.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }

  private show(text: string): void {
    if (!this.stream.isTTY) {
      this.stream.write(`${text}\n`);
      return;
    }
    const line = text.slice(0, (this.stream.columns ?? 80) - 1);
    this.stream.write(`\r${line}${' '.repeat(Math.max(0, this.width - line.length))}`);
    this.width = line.length;
  }
}

/** '45 s', '3 min 20 s', '2 h 5 min'. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
