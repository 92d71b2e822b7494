/**
 * Minimum-cost assignment of rows to columns of a dense matrix, rectangular too: successive shortest augmenting paths
 * with dual potentials (Jonker and Volgenant, Computing 1987). O(n² m) for n <= m.
 *
 * @param cost [rows, columns] row-major, finite
 * @returns for each row its column, or -1 where there are more rows than columns
 */
export function assign(cost: ArrayLike<number>, rows: number, columns: number): Int32Array {
  const transposed = rows > columns;
  const n = transposed ? columns : rows;
  const m = transposed ? rows : columns;
  const stepRow = transposed ? 1 : columns;
  const stepColumn = transposed ? columns : 1;
  const rowPotential = new Float64Array(n);
  const columnPotential = new Float64Array(m);
  const rowOf = new Int32Array(m).fill(-1);
  const distance = new Float64Array(m);
  const previous = new Int32Array(m); // column before this one on the shortest path, -1 at its start
  const done = new Uint8Array(m);
  for (let start = 0; start < n; start++) {
    distance.fill(Infinity);
    done.fill(0);
    let row = start;
    let column = -1;
    let length = 0;
    for (;;) {
      let nearest = -1;
      for (let j = 0; j < m; j++) {
        if (done[j]) continue;
        const along = length + cost[row * stepRow + j * stepColumn] - rowPotential[row] - columnPotential[j];
        if (along < distance[j]) {
          distance[j] = along;
          previous[j] = column;
        }
        if (nearest < 0 || distance[j] < distance[nearest]) nearest = j;
      }
      column = nearest;
      length = distance[column];
      done[column] = 1;
      if (rowOf[column] < 0) break;
      row = rowOf[column];
    }
    // Potentials keep reduced costs of all rows on the tree non-negative.
    rowPotential[start] += length;
    for (let j = 0; j < m; j++) {
      if (!done[j] || j === column) continue;
      rowPotential[rowOf[j]] += length - distance[j];
      columnPotential[j] -= length - distance[j];
    }
    while (column >= 0) {
      const before = previous[column];
      rowOf[column] = before < 0 ? start : rowOf[before];
      column = before;
    }
  }
  const result = new Int32Array(rows).fill(-1);
  for (let j = 0; j < m; j++) {
    if (rowOf[j] < 0) continue;
    if (transposed) result[j] = rowOf[j];
    else result[rowOf[j]] = j;
  }
  return result;
}
