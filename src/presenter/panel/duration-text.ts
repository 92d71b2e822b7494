/** e.g. "about 40 s", "about 3 min", "about 2 h 10 min": rounded so that it does not flicker. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `about ${Math.max(5, Math.ceil(seconds / 5) * 5)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (seconds < 3600) return `about ${minutes} min`;
  return `about ${Math.floor(minutes / 60)} h${minutes % 60 > 0 ? ` ${minutes % 60} min` : ''}`;
}
