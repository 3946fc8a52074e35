import { assert, describe, it } from "vitest";
import * as SeededRandom from "../../load/chaos/SeededRandom.ts";

const numbers = (seed: number, name: string) => {
  const { next } = SeededRandom.make(seed, name);
  return Array.from({ length: 1000 }, next);
};

describe("SeededRandom", () => {
  it("gives the same numbers again for the same seed and name", () => {
    assert.deepStrictEqual(numbers(7, "kill"), numbers(7, "kill"));
  });

  it("gives others for another seed, and for another name", () => {
    assert.notDeepEqual(numbers(7, "kill"), numbers(8, "kill"));
    assert.notDeepEqual(numbers(7, "kill"), numbers(7, "freeze"));
  });

  it("spreads them evenly from 0 to below 1", () => {
    const given = numbers(7, "kill");
    const mean = given.reduce((sum, value) => sum + value, 0) / given.length;
    assert.closeTo(mean, 0.5, 0.05);
    assert.isTrue(given.every((value) => value >= 0 && value < 1));
  });
});
