/**
 * Listening to events through the typed client: what it makes of connections
 * that end in any way, and a service that dies and comes back.
 */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Fiber, Queue, Schema, Stream } from "effect";
import { FetchHttpClient, HttpClientError } from "effect/http";
import { HttpApiError } from "effect/http-api";
import { TestClock } from "effect/testing";
import type { CloudEvent } from "../../src/api/CloudEvent.ts";
import { EventsOff } from "../../src/api/Problems.ts";
import { EventGap } from "../../src/client/EventListening.ts";
import {
  type EventStreamOptions,
  OrderClient,
} from "../../src/client/OrderClient.ts";
import { freePort } from "../support/postgresServer.ts";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

/** A connection as the service sees it. */
interface Connection {
  readonly url: URL;
  readonly send: (text: string) => void;
  readonly end: () => void;
  readonly breakOff: () => void;
  readonly isGivenUp: () => boolean;
}

/** A service whose connections the test has in hand, one after the other. */
const fakeService = Effect.gen(function* () {
  const connections = yield* Queue.unbounded<Connection>();
  const answers: Array<() => Response> = [];
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (given) => {
        controller = given;
      },
      cancel: () => {
        isCancelled = true;
      },
    });
    const connection: Connection = {
      url: new URL(String(url)),
      send: (text) => controller?.enqueue(new TextEncoder().encode(text)),
      end: () => controller?.close(),
      breakOff: () => controller?.error(new TypeError("terminated")),
      isGivenUp: () => isCancelled || init?.signal?.aborted === true,
    };
    Queue.offerUnsafe(connections, connection);
    const answer = answers.shift();
    return answer === undefined
      ? new Response(body, { headers: { "content-type": "text/event-stream" } })
      : answer();
  };
  const listen = (options?: EventStreamOptions) =>
    Stream.unwrap(
      Effect.map(OrderClient, (client) => client.eventStream(options)),
    ).pipe(
      Stream.provide(
        OrderClient.layerFetch({
          baseUrl: "http://orders.test",
          retry: { base: "200 millis", cap: "5 seconds" },
        }),
      ),
      Stream.provideService(
        FetchHttpClient.Fetch,
        fetch as typeof globalThis.fetch,
      ),
    );
  return {
    listen,
    /** The next connection, as soon as it is made. */
    next: Queue.take(connections),
    /** What is answered to the next ones, instead of a stream. */
    answerWith: (...some: ReadonlyArray<() => Response>) => {
      answers.push(...some);
    },
    /** Lets the time pass until the next connection is made; says how much. */
    untilNext: Effect.gen(function* () {
      const step = Duration.millis(100);
      for (let millis = 0; ; millis += 100) {
        if ((yield* Queue.size(connections)) > 0) {
          return { connection: yield* Queue.take(connections), millis };
        }
        yield* TestClock.adjust(step);
        // What the time has set going comes to its end.
        yield* Effect.promise(() => new Promise((done) => setImmediate(done)));
      }
    }),
  };
});

const eventOf = (id: string, order_id = id): typeof CloudEvent.Encoded => ({
  specversion: "1.0",
  id,
  source: "/api/orders/",
  type: "order.placed",
  subject: order_id,
  time: "2026-01-31T12:00:00.000Z",
  datacontenttype: "application/json",
  data: { order_id, user_id: "U", status: "PENDING", attempt: 0 },
});

const frameOf = (id: string) =>
  `id: ${id}\nevent: order.placed\ndata: ${JSON.stringify(eventOf(id))}\n\n`;

const start = (id: string, retry = 1000) => `id: ${id}\nretry: ${retry}\n\n`;

/** Listens, and has what comes in a queue. */
const heardOf = Effect.fnUntraced(function* <E>(
  events: Stream.Stream<CloudEvent, E>,
) {
  const heard = yield* Queue.unbounded<string>();
  const fiber = yield* events.pipe(
    Stream.runForEach(({ id }) => Queue.offer(heard, id)),
    Effect.forkScoped,
  );
  return { next: Queue.take(heard), heard, fiber };
});

const afterIn = ({ url }: Connection) => url.searchParams.get("after");

describe("listening to events", () => {
  it.effect("gives what is sent, decoded", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const [event] = yield* Effect.all(
        [
          service
            .listen({ type: ["order.placed"], user_id: "U" as never })
            .pipe(Stream.take(1), Stream.runCollect),
          Effect.map(service.next, (connection) => {
            assert.strictEqual(
              `${connection.url}`,
              "http://orders.test/api/events/stream/?type=order.placed&user_id=U",
            );
            connection.send(
              `${start("a-1-0")}${frameOf("a-2-0").slice(0, 40)}`,
            );
            connection.send(frameOf("a-2-0").slice(40));
          }),
        ],
        { concurrency: "unbounded" },
      ).pipe(Effect.map(([events]) => events));
      assert.deepInclude(event, { id: "a-2-0", type: "order.placed" });
      assert.strictEqual(
        event?.time.epochMilliseconds,
        Date.parse("2026-01-31T12:00:00Z"),
      );
    }),
  );

  it.effect(
    "comes back after the last event, however the connection ended",
    () =>
      Effect.gen(function* () {
        const service = yield* fakeService;
        const { heard, next } = yield* heardOf(
          service.listen({ after: "a-1-0" }),
        );
        const first = yield* service.next;
        assert.strictEqual(afterIn(first), "a-1-0");
        first.send(`${start("a-1-0")}${frameOf("a-2-0")}`);
        assert.strictEqual(yield* next, "a-2-0");
        first.end();
        const { connection: second } = yield* service.untilNext;
        assert.strictEqual(afterIn(second), "a-2-0");
        // In the midst of an event, which is not had then.
        second.send(`${frameOf("a-3-0")}${frameOf("a-4-0").slice(0, 60)}`);
        assert.strictEqual(yield* next, "a-3-0");
        second.breakOff();
        const { connection: third } = yield* service.untilNext;
        assert.strictEqual(afterIn(third), "a-3-0");
        third.send(frameOf("a-4-0"));
        assert.strictEqual(yield* next, "a-4-0");
        assert.strictEqual(yield* Queue.size(heard), 0);
      }),
  );

  it.effect(
    "comes back to where it began when nothing happened until then",
    () =>
      Effect.gen(function* () {
        const service = yield* fakeService;
        yield* heardOf(service.listen({ after: "latest" }));
        const first = yield* service.next;
        assert.strictEqual(afterIn(first), "latest");
        first.send(start("a-7-0"));
        first.end();
        const { connection } = yield* service.untilNext;
        assert.strictEqual(afterIn(connection), "a-7-0");
      }),
  );

  it.effect("goes on from a ping, where nothing passes its filter", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      yield* heardOf(service.listen({ user_id: "nobody" as never }));
      const first = yield* service.next;
      first.send(`${start("a-7-0")}id: a-9-0\nevent: ping\ndata: {}\n\n`);
      first.end();
      const { connection } = yield* service.untilNext;
      assert.strictEqual(afterIn(connection), "a-9-0");
    }),
  );

  it.effect(
    "waits as the service asks, and longer while that brings nothing",
    () =>
      Effect.gen(function* () {
        const service = yield* fakeService;
        yield* heardOf(service.listen());
        const first = yield* service.next;
        first.send(`${start("a-1-0", 3000)}${frameOf("a-2-0")}`);
        first.end();
        const waits: Array<number> = [];
        for (let time = 0; time < 8; time += 1) {
          const { connection, millis } = yield* service.untilNext;
          waits.push(millis);
          connection.end();
        }
        // A half more at most, so that not all come together; and what the
        // client's own policy adds: 200 ms, doubled up to 5 s.
        const [soon = 0, ...rest] = waits;
        const last = rest.at(-1) ?? 0;
        assert.isAtLeast(soon, 3000);
        assert.isAtMost(soon, 4600);
        assert.isAtLeast(last, 8000);
        assert.isAtMost(last, 12_100);
      }),
  );

  it.effect("gives a connection up that is silent for 45 seconds", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const { next } = yield* heardOf(service.listen());
      const first = yield* service.next;
      first.send(`${start("a-1-0")}${frameOf("a-2-0")}`);
      yield* next;
      const ping = "event: ping\ndata: {}\n\n";
      for (let time = 0; time < 4; time += 1) {
        yield* TestClock.adjust("44 seconds");
        assert.isFalse(first.isGivenUp());
        first.send(`${ping}${frameOf(`a-${time + 3}-0`)}`);
        yield* next;
      }
      const { connection, millis } = yield* service.untilNext;
      assert.isTrue(first.isGivenUp());
      assert.isAtLeast(millis, 46_000);
      assert.isAtMost(millis, 47_000);
      assert.strictEqual(afterIn(connection), "a-6-0");
    }),
  );

  it.effect("waits for a service that is away, for as long as it takes", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const { fiber, next } = yield* heardOf(
        service.listen({ after: "a-1-0" }),
      );
      const away = () => new Response("away", { status: 502 });
      const full = () =>
        new Response(null, { status: 503, headers: { "retry-after": "60" } });
      const down = () => {
        throw new TypeError("fetch failed");
      };
      // More often than other requests are sent again.
      service.answerWith(...Array.from({ length: 10 }, () => away), down, full);
      for (let time = 0; time < 12; time += 1) {
        const { connection } = yield* service.untilNext;
        assert.strictEqual(afterIn(connection), "a-1-0");
      }
      const { connection, millis } = yield* service.untilNext;
      assert.isAtLeast(millis, 60_000);
      connection.send(frameOf("a-2-0"));
      assert.strictEqual(yield* next, "a-2-0");
      assert.isUndefined(fiber.pollUnsafe());
    }),
  );

  it.effect(
    "fails with EventGap where events are gone, after those before",
    () =>
      Effect.gen(function* () {
        const service = yield* fakeService;
        const { fiber, next } = yield* heardOf(service.listen());
        const first = yield* service.next;
        const gap = JSON.stringify({ detail: "not there any more" });
        first.send(
          `${frameOf("a-2-0")}id: b-1-0\nevent: gap\ndata: ${gap}\n\n${frameOf("b-2-0")}`,
        );
        assert.strictEqual(yield* next, "a-2-0");
        const error = yield* Effect.flip(Fiber.join(fiber));
        assert.instanceOf(error, EventGap);
        assert.deepInclude(error as EventGap, {
          after: "b-1-0",
          message: "not there any more",
        });
      }),
  );

  it.effect("fails where coming back would not help", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const problem = (body: object, status: number) => () =>
        new Response(JSON.stringify(body), {
          status,
          headers: { "content-type": "application/problem+json" },
        });
      const html = (status: number) => () =>
        new Response("<h1>hello</h1>", {
          status,
          headers: { "content-type": "text/html" },
        });
      const off = Schema.encodeSync(EventsOff)(
        new EventsOff({ detail: "off" }),
      );
      const bad = {
        ...{ type: "about:blank", status: 400, title: "Bad Request" },
        ...{ detail: "no", errors: [] },
      };
      const failing = Effect.flip(Stream.runDrain(service.listen()));
      service.answerWith(problem(off, 409));
      assert.instanceOf(yield* failing, EventsOff);
      service.answerWith(problem(bad, 400));
      assert.instanceOf(yield* failing, HttpApiError.BadRequestProblem);
      for (const status of [200, 404, 500]) {
        service.answerWith(html(status));
        const error = yield* failing;
        assert.isTrue(HttpClientError.isHttpClientError(error), `${status}`);
      }
      const [unsent] = yield* Effect.all([
        Effect.flip(Stream.runDrain(service.listen({ after: "yesterday" }))),
      ]);
      assert.isTrue(Schema.isSchemaError(unsent));
    }),
  );

  it.effect("fails with what an event is that it does not know", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const { fiber } = yield* heardOf(service.listen());
      const connection = yield* service.next;
      connection.send("id: a-2-0\nevent: order.shipped\ndata: {}\n\n");
      const error = yield* Effect.flip(Fiber.join(fiber));
      assert.isTrue(Schema.isSchemaError(error));
    }),
  );

  it.effect("lets the connection go when nobody listens any more", () =>
    Effect.gen(function* () {
      const service = yield* fakeService;
      const { fiber, next } = yield* heardOf(service.listen());
      const connection = yield* service.next;
      connection.send(frameOf("a-2-0"));
      yield* next;
      yield* Fiber.interrupt(fiber);
      assert.isTrue(connection.isGivenUp());
    }),
  );
});

const orderOf = (order_id: string) => ({
  order_id,
  user_id: "U",
  item_ids: ["ITEM001"],
  total_amount: 1,
});

const clientOf = (url: string) =>
  OrderClient.pipe(
    Effect.provide(
      OrderClient.layerFetch({ baseUrl: url, retry: { base: "10 millis" } }),
    ),
  );

describe("listening to a service", () => {
  it.live(
    "goes on over its death and its restart, and misses nothing",
    () =>
      Effect.gen(function* () {
        const { url: database } = yield* TestDatabase;
        const port = yield* Effect.promise(freePort);
        const settings = {
          ...{ DATABASE_URL: database, PORT: `${port}` },
          PROCESSING_TIME: "1 millis",
        };
        const starting = Effect.acquireRelease(
          Effect.promise(() => startService(settings)),
          (service) => Effect.promise(() => service.stop("SIGKILL")),
        );
        const first = yield* starting;
        const client = yield* clientOf(first.url);
        const heard = yield* Queue.unbounded<string>();
        yield* client.eventStream().pipe(
          Stream.runForEach(({ subject, type }) =>
            Queue.offer(heard, `${subject} ${type}`),
          ),
          Effect.forkScoped,
        );
        const told = Effect.fnUntraced(function* (order_id: string) {
          yield* client.place(orderOf(order_id));
          assert.strictEqual(
            yield* Queue.take(heard),
            `${order_id} order.placed`,
          );
          assert.strictEqual(
            yield* Queue.take(heard),
            `${order_id} order.completed`,
          );
        });
        yield* told("1");
        yield* Effect.promise(() => first.stop("SIGKILL"));
        yield* starting;
        yield* told("2");
        assert.strictEqual(yield* Queue.size(heard), 0);
        const { body } = yield* client.events.list({ query: {} });
        assert.strictEqual(body.length, 4);
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000,
  );

  it.live(
    "is told of a gap, and that events are off; and long polls are waited for",
    () =>
      Effect.gen(function* () {
        const { url: database } = yield* TestDatabase;
        const starting = (settings: Readonly<Record<string, string>>) =>
          Effect.acquireRelease(
            Effect.promise(() =>
              startService({ DATABASE_URL: database, ...settings }),
            ),
            (service) => Effect.promise(() => service.stop("SIGKILL")),
          );
        const on = yield* starting({ PROCESSING_TIME: "1 millis" });
        const client = yield* clientOf(on.url);
        const gap = yield* Effect.flip(
          Stream.runDrain(client.eventStream({ after: "another-1-0" })),
        );
        assert.instanceOf(gap, EventGap);
        yield* client.place(orderOf("1"));
        const after = (gap as EventGap).after;
        const events = yield* client
          .eventStream({ after })
          .pipe(Stream.take(2), Stream.runCollect);
        assert.deepStrictEqual(
          events.map(({ subject }) => subject),
          ["1", "1"],
        );

        // Its answer comes after a second, which is more than it has.
        const hurried = yield* OrderClient.pipe(
          Effect.provide(
            OrderClient.layerFetch({
              baseUrl: on.url,
              timeout: "900 millis",
              retry: { times: 0 },
            }),
          ),
        );
        const last = events.at(-1)?.id;
        const none = yield* hurried.events.list({
          query: { after: last, wait: 1 },
        });
        assert.deepStrictEqual(none.body, []);
        assert.match(none.headers.link, /rel="next"/);

        const off = yield* starting({ EVENTS: "off" });
        const refused = yield* clientOf(off.url).pipe(
          Effect.flatMap((client) => Stream.runDrain(client.eventStream())),
          Effect.flip,
        );
        assert.instanceOf(refused, EventsOff);
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000,
  );
});
