/** Steps of warm-up, of short trainings a quarter of them all. */
const WARM_UP = 20;

/** Factor on the learning rate: up in a straight line, then down along half a cosine to one hundredth. */
export function warmUpAndCosine(step: number, steps: number, warmUp = Math.min(WARM_UP, steps / 4)): number {
  const up = Math.min(1, (step + 1) / warmUp);
  const down = 0.5 * (1 + Math.cos(Math.PI * Math.min(1, step / steps)));
  return up * (0.99 * down + 0.01);
}
