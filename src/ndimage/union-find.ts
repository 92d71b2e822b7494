/**
 * Disjoint sets of 0 … n-1. The smallest member represents its set, so roots keep the order in which sets were made.
 */
export class UnionFind {
  private parent: Int32Array;
  private count: number;

  constructor(count = 0) {
    this.count = count;
    this.parent = Int32Array.from({ length: Math.max(count, 16) }, (_, i) => i);
  }

  get length(): number {
    return this.count;
  }

  /** Adds a set of one member and returns the member. */
  add(): number {
    if (this.count === this.parent.length) {
      const grown = new Int32Array(this.count * 2);
      grown.set(this.parent);
      this.parent = grown;
    }
    this.parent[this.count] = this.count;
    return this.count++;
  }

  find(member: number): number {
    const { parent } = this;
    while (parent[member] !== member) {
      parent[member] = parent[parent[member]];
      member = parent[member];
    }
    return member;
  }

  /** Joins the sets of two members and returns the root of both. */
  union(a: number, b: number): number {
    const rootA = this.find(a);
    const rootB = this.find(b);
    if (rootA < rootB) {
      this.parent[rootB] = rootA;
      return rootA;
    }
    this.parent[rootA] = rootB;
    return rootB;
  }

  /** For every member the number of its set, counted from `first` in order of the sets' smallest members. */
  numbered(first = 0): Int32Array {
    const numbers = new Int32Array(this.count);
    let next = first;
    for (let i = 0; i < this.count; i++) numbers[i] = this.parent[i] === i ? next++ : numbers[this.find(i)];
    return numbers;
  }
}
