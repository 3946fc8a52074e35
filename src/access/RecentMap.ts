/**
 * A map that holds what was set or asked for lately, and no more than twice
 * `max` entries. It has two generations: when the young one is full it becomes
 * the old one, and what was old is forgotten. Effect's `Cache` would bound the
 * same, but a look takes it half a microsecond instead of a twentieth, and each
 * request looks once or twice.
 */
export class RecentMap<V> {
  readonly #max: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#max && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** All that it holds, in no order that says anything. */
  *values(): Iterable<V> {
    yield* this.#young.values();
    yield* this.#old.values();
  }
}
