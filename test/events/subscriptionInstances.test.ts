/**
 * Subscriptions on real processes: killed while they deliver, on every runtime,
 * and kept from private addresses.
 */
import { lookup } from "node:dns/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { assert, describe, layer } from "@effect/vitest";
import { Effect } from "effect";
import { Webhook } from "standardwebhooks";
import {
  runtimes,
  type ServiceProcess,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { layerSql, TestDatabase } from "../support/testDatabase.ts";

interface Event {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
}

/** A receiver that refuses what is not signed, and can be down. */
const startReceiver = async () => {
  const state = { isDown: false, secret: "", got: [] as Array<Event> };
  const server = createServer(
    { keepAliveTimeout: 500 },
    (request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        if (state.isDown) return void response.writeHead(503).end();
        const events = new Webhook(state.secret).verify(
          body,
          request.headers as Record<string, string>,
        ) as ReadonlyArray<Event>;
        state.got.push(...events);
        response.writeHead(200).end();
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  return {
    state,
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

const receiver = Effect.acquireRelease(Effect.promise(startReceiver), (_) =>
  Effect.promise(_.stop),
);

const service = (
  env: Readonly<Record<string, string>>,
  runtime?: "node" | "deno",
) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      startService(
        { PROCESSING_TIME: "0 seconds", ...env },
        "ready",
        runtime === undefined ? {} : { runtime },
      ),
    ),
    (process) => Effect.promise(() => process.stop("SIGKILL")),
  );

const send = async (url: string, body?: unknown) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: await response.json() };
};

const place = ({ url }: ServiceProcess, ids: ReadonlyArray<string>) =>
  Effect.promise(() =>
    Promise.all(
      ids.map((order_id) =>
        send(`${url}/api/orders/`, {
          ...{ order_id, user_id: "U", item_ids: ["I"], total_amount: 1 },
        }),
      ),
    ),
  );

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);

/** Batches that were posted from there and taken. */
const posted = async ({ url }: ServiceProcess) =>
  Number(
    /subscription_deliveries_total\{outcome="delivered"\} (\d+)/.exec(
      await (await fetch(`${url}/metrics`)).text(),
    )?.[1] ?? 0,
  );

layer(layerSql, { excludeTestServices: true, timeout: 60_000 })(
  "subscriptions of several instances",
  (it) => {
    it.effect(
      "get everything, in order, though the dispatching one is killed",
      () =>
        Effect.gen(function* () {
          const { url } = yield* TestDatabase;
          const { port, state } = yield* receiver;
          const env = { DATABASE_URL: url, DATABASE_POOL_SIZE: "5" };
          const one = yield* service(env);
          const two = yield* service(env);
          const made = yield* Effect.promise(() =>
            send(`${one.url}/api/subscriptions/`, {
              url: `http://127.0.0.1:${port}/`,
              // Of orders whose attempts are lost there are others, too.
              types: ["order.placed", "order.completed"],
            }),
          );
          state.secret = made.json.secret;
          const early = numbered("EARLY", 150);
          yield* place(two, early);
          const delivered = (count: number) =>
            Effect.promise(() =>
              until(`${count} events`, async () => {
                const seen = new Map(state.got.map((one) => [one.id, one]));
                return seen.size >= count && Array.from(seen.values());
              }),
            );
          yield* delivered(2 * early.length);
          const before = yield* Effect.promise(() => posted(one));
          yield* place(two, ["ONE"]);
          yield* delivered(2 * early.length + 2);
          const isOne = (yield* Effect.promise(() => posted(one))) > before;
          const [first, other] = isOne ? [one, two] : [two, one];
          const fromOther = yield* Effect.promise(() => posted(other));

          state.isDown = true;
          const late = numbered("LATE", 150);
          yield* place(first, late);
          yield* Effect.promise(() => first.stop("SIGKILL"));
          state.isDown = false;
          const orders = [...early, "ONE", ...late];
          const expected = orders.flatMap((order) => [
            `order.placed ${order}`,
            `order.completed ${order}`,
          ]);
          const firsts = yield* delivered(expected.length);
          assert.isAbove(yield* Effect.promise(() => posted(other)), fromOther);
          const names = firsts.map(({ subject, type }) => `${type} ${subject}`);
          assert.sameMembers(names, expected);
          for (const order of orders) {
            assert.isBelow(
              names.indexOf(`order.placed ${order}`),
              names.indexOf(`order.completed ${order}`),
              order,
            );
          }
        }),
      60_000,
    );
  },
);

describe("a private receiver behind a name", () => {
  layer(layerSql, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect.each(runtimes)(
      "gets nothing from a service for public ones: %s",
      (runtime) =>
        Effect.gen(function* () {
          const { url } = yield* TestDatabase;
          const { port, state } = yield* receiver;
          const name = hostname();
          const isName = yield* Effect.promise(() =>
            lookup(name).then(
              () => true,
              () => false,
            ),
          );
          const { url: base } = yield* service(
            { DATABASE_URL: url, SUBSCRIPTIONS_TO: "public" },
            runtime,
          );
          const subscribe = (receiver: string) =>
            Effect.promise(() =>
              send(`${base}/api/subscriptions/`, { url: receiver }),
            );
          for (const host of ["127.0.0.1", "localhost", "[::1]", "10.0.0.1"]) {
            const refused = yield* subscribe(`http://${host}:${port}/`);
            assert.strictEqual(refused.status, 400, host);
            assert.match(
              refused.json.errors[0].message,
              /private address.*SUBSCRIPTIONS_TO/,
            );
          }
          const made = yield* subscribe(`http://${name}:${port}/`);
          assert.strictEqual(made.status, 201);
          const { json } = yield* Effect.promise(() =>
            send(`${base}/api/subscriptions/${made.json.id}/test/`),
          );
          assert.isFalse(json.delivered);
          assert.match(
            json.error,
            isName ? /private address/ : /did not answer: E/,
          );
          assert.deepStrictEqual(state.got, []);
        }),
      60_000,
    );
  });
});
