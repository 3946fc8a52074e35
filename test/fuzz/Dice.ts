/** Choices that a seed replays. */
import * as SeededRandom from "../../load/chaos/SeededRandom.ts";

export class Dice {
  readonly #next: () => number;

  /** The same seed and name make the same choices. */
  constructor(seed: number, name: string) {
    this.#next = SeededRandom.make(seed, name).next;
  }

  /** True this often (0..1). */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** A whole number, both ends included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.#next() * (max - min + 1));
  }

  pick<A>(choices: ReadonlyArray<A>): A {
    return choices[this.int(0, choices.length - 1)] as A;
  }

  /** One of the choices, each as often as its weight says. */
  weighted<A>(choices: ReadonlyArray<readonly [weight: number, choice: A]>): A {
    const sum = choices.reduce((total, [weight]) => total + weight, 0);
    let left = this.#next() * sum;
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return this.pick(choices)[1];
  }

  shuffle<A>(list: ReadonlyArray<A>): Array<A> {
    return list
      .map((value) => [this.#next(), value] as const)
      .sort(([one], [other]) => one - other)
      .map(([, value]) => value);
  }
}
