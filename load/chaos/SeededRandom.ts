/** Random numbers that a seed replays. */

export interface SeededRandom {
  /** Evenly spread over 0..1, without the 1. */
  readonly next: () => number;
  /** A number from `min` on, below `max`. */
  readonly between: (min: number, max: number) => number;
}

/** FNV-1a: a name as a number, so that each scenario has a schedule of its own. */
const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (const character of text) {
    value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return value >>> 0;
};

/** mulberry32. The same seed and name give the same numbers. */
export const make = (seed: number, name: string): SeededRandom => {
  let state = (seed ^ hash(name)) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return { next, between: (min, max) => min + next() * (max - min) };
};
