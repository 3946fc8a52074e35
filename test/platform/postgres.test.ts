/** How the connections to PostgreSQL are divided. */
import { assert, describe, it } from "vitest";
import { sharesOf } from "../../src/platform/Postgres.ts";

describe("the connections", () => {
  it.each([
    [1, { leases: 2, working: 0, reading: 0, apart: 0 }],
    [2, { leases: 2, working: 0, reading: 0, apart: 0 }],
    [3, { leases: 2, working: 1, reading: 0, apart: 0 }],
    [4, { leases: 2, working: 1, reading: 1, apart: 0 }],
    [5, { leases: 2, working: 1, reading: 1, apart: 1 }],
    [10, { leases: 2, working: 3, reading: 3, apart: 2 }],
    [20, { leases: 2, working: 8, reading: 6, apart: 4 }],
  ])("are divided, of %i", (poolSize, shares) => {
    assert.deepStrictEqual(sharesOf(poolSize), shares);
  });

  it("are never more than the setting says, or 2", () => {
    for (let poolSize = 1; poolSize <= 200; poolSize += 1) {
      const sum = Object.values(sharesOf(poolSize)).reduce((a, b) => a + b);
      assert.strictEqual(sum, Math.max(2, poolSize));
    }
  });
});
