/** OpenLayers has coordinates, sizes and extents as lists of any length; these are the two and four numbers that they are. */
export function pair(values: readonly number[]): [x: number, y: number] {
  const [x, y] = values;
  if (x === undefined || y === undefined) throw new Error(`A coordinate has two numbers; got [${values}].`);
  return [x, y];
}

export type Extent = readonly [left: number, bottom: number, right: number, top: number];

export function extentOf(values: readonly number[]): Extent {
  const [left, bottom, right, top] = values;
  if (left === undefined || bottom === undefined || right === undefined || top === undefined)
    throw new Error(`An extent has four numbers; got [${values}].`);
  return [left, bottom, right, top];
}
