import type { Stage } from './stage.js';

const NICE = [1, 2, 5];
const TARGET = 110;

/** A bar of a round number of image pixels, about a hundred screen pixels long. */
export function showScaleBar(stage: Stage, bar: HTMLElement): void {
  const update = () => {
    const resolution = stage.map.getView().getResolution() ?? 1;
    const longest = TARGET * resolution;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = Math.max(...NICE.map((n) => n * power).filter((n) => n <= longest));
    bar.style.width = `${length / resolution}px`;
    bar.textContent = `${Number(length.toPrecision(3))} px`;
    bar.hidden = stage.size === undefined;
  };
  stage.map.on('postrender', update);
}
