/**
 * Reads the log in short stretches, as PostgreSQL does after so many rows:
 * there is more to read, whether or not an open order was met.
 */
import { Effect } from "effect";
import type { OrderRepository } from "../../src/persistence/OrderRepository.ts";

/** So few that the handful of orders of a schedule takes several. */
const numbersMax = 2n;

export const make = (
  repository: OrderRepository["Service"],
): OrderRepository["Service"] => ({
  ...repository,
  readLog: (partition, after, limit) =>
    Effect.map(repository.readLog(partition, after, limit), (read) => {
      const readTo = after + numbersMax;
      if (read.readTo <= readTo) return read;
      return {
        ...read,
        open: read.open.filter(({ seq }) => seq <= readTo),
        readTo,
        isEnd: false,
      };
    }),
});
