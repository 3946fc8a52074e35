/** `npm run seed`: places sample orders, to have something to look at. */
import { NodeRuntime, NodeServices } from "@effect/platform-node";
import { Console, Effect } from "effect";
import { CliError, Command, Flag } from "effect/cli";
import { OrderClient } from "../src/client/OrderClient.ts";
import * as SampleOrders from "../src/orders/SampleOrders.ts";
import * as Service from "./Service.ts";

/** Orders placed at once. */
const concurrency = 10;

const seed = Command.make(
  "seed",
  {
    url: Service.url,
    key: Service.key,
    count: Flag.Int("count").pipe(
      Flag.withDescription("Orders to place (50)"),
      Flag.withDefault(50),
      Flag.filter(
        (count) => count >= 1,
        () => "a number from 1 on",
      ),
    ),
  },
  Effect.fn(function* ({ count, url }) {
    yield* Service.ready(url);
    const { orders } = yield* OrderClient;
    let placed = 0;
    const place = Effect.gen(function* () {
      const payload = yield* SampleOrders.random;
      yield* orders.place({ payload });
      placed += 1;
    });
    yield* Effect.forEach(Array.from({ length: count }), () => place, {
      concurrency,
      discard: true,
    }).pipe(
      Effect.mapError(
        (error) =>
          new CliError.UserError({
            cause: `${placed} of ${count} orders were placed, then: ${error.message}`,
          }),
      ),
    );
    yield* Console.log(
      `Placed ${placed} sample orders: see ${url}/api/orders/ and ${url}/api/orders/metrics/`,
    );
  }),
).pipe(
  Command.provide(({ key, url }) =>
    OrderClient.layerFetch({ baseUrl: url, key }),
  ),
  Command.withDescription(
    "Places sample orders at a running service, over HTTP.",
  ),
);

Command.run(seed, { version: "0.1.0" }).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain,
);
