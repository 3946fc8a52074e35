import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Fiber, Random, Result } from "effect";
import {
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse,
} from "effect/http";
import { TestClock } from "effect/testing";
import {
  answeredWithin,
  defaultPolicy,
  retryTransient,
  waitBefore,
} from "../../src/client/RequestRetry.ts";

const request = HttpClientRequest.get("http://127.0.0.1/");

const answer = (status: number, headers: Record<string, string> = {}) =>
  HttpClientResponse.fromWeb(request, new Response("{}", { status, headers }));

const noConnection = new HttpClientError.HttpClientError({
  reason: new HttpClientError.TransportError({ request }),
});

/** In milliseconds, with no jitter. */
const wait = (
  outcome: Parameters<typeof waitBefore>[0],
  resent = 0,
  random = 0,
  now = 0,
) => {
  const given = waitBefore(outcome, resent, defaultPolicy, now, random);
  return given === undefined ? undefined : Duration.toMillis(given);
};

describe("the wait before a request is sent again", () => {
  for (const status of [408, 425, 429, 502, 503, 504]) {
    it(`there is one after ${status}`, () =>
      assert.strictEqual(wait(Result.succeed(answer(status))), 200));
  }

  for (const status of [200, 201, 304, 400, 404, 409, 413, 500, 501]) {
    const init = status === 304 ? null : "{}";
    it(`there is none after ${status}: the answer stands`, () =>
      assert.strictEqual(
        wait(
          Result.succeed(
            HttpClientResponse.fromWeb(request, new Response(init, { status })),
          ),
        ),
        undefined,
      ));
  }

  it("doubles up to its cap, and ends with the last time", () =>
    assert.deepStrictEqual(
      [0, 1, 2, 3, 4, 5].map((resent) =>
        wait(Result.fail(noConnection), resent),
      ),
      [200, 400, 800, 1600, 3200, undefined],
    ));

  it("stays at its cap", () =>
    assert.strictEqual(
      Duration.toMillis(
        waitBefore(
          Result.fail(noConnection),
          40,
          { ...defaultPolicy, times: 50 },
          0,
          0,
        ) ?? Duration.zero,
      ),
      5000,
    ));

  it("loses a random half", () =>
    assert.strictEqual(wait(Result.fail(noConnection), 0, 1), 100));

  it("comes on top of a Retry-After in seconds", () =>
    assert.strictEqual(
      wait(Result.succeed(answer(503, { "retry-after": "7" }))),
      7200,
    ));

  it("comes on top of a Retry-After that is a date", () =>
    assert.strictEqual(
      wait(
        Result.succeed(
          answer(503, { "retry-after": "Sat, 31 Jan 2026 12:00:05 GMT" }),
        ),
        0,
        0,
        Date.parse("2026-01-31T12:00:00Z"),
      ),
      5200,
    ));

  it("is not there when Retry-After asks for longer than anyone waits", () =>
    assert.strictEqual(
      wait(Result.succeed(answer(503, { "retry-after": "31" }))),
      undefined,
    ));

  it("leaves a Retry-After that says nothing aside", () =>
    assert.strictEqual(
      wait(Result.succeed(answer(503, { "retry-after": "soon" }))),
      200,
    ));

  it("is not there for what no connection was needed to find out", () =>
    assert.strictEqual(
      wait(
        Result.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.InvalidUrlError({ request }),
          }),
        ),
      ),
      undefined,
    ));
});

describe("a client that sends again", () => {
  /** Counts the sendings of a request that `send` answers. */
  const counting = (
    send: Effect.Effect<
      HttpClientResponse.HttpClientResponse,
      HttpClientError.HttpClientError
    >,
  ) => {
    const sent = { times: 0 };
    const client = HttpClient.make(() =>
      Effect.suspend(() => {
        sent.times += 1;
        return send;
      }),
    );
    return { sent, client };
  };

  it.effect("gives the last answer when all were in vain", () =>
    Effect.gen(function* () {
      const { client, sent } = counting(Effect.sync(() => answer(503)));
      const asking = yield* retryTransient(defaultPolicy)(client)
        .execute(request)
        .pipe(Effect.forkChild);
      yield* TestClock.adjust("6200 millis");
      const last = yield* Fiber.join(asking);
      assert.strictEqual(last.status, 503);
      assert.strictEqual(sent.times, 1 + defaultPolicy.times);
    }),
  );

  it.effect("sends once when it is told never to send again", () =>
    Effect.gen(function* () {
      const { client, sent } = counting(Effect.fail(noConnection));
      const error = yield* retryTransient({ ...defaultPolicy, times: 0 })(
        client,
      )
        .execute(request)
        .pipe(Effect.flip);
      assert.strictEqual(error.reason._tag, "TransportError");
      assert.strictEqual(sent.times, 1);
    }),
  );

  it.effect("waits no less than half and no more than all of its waits", () =>
    Effect.gen(function* () {
      const { client, sent } = counting(Effect.sync(() => answer(503)));
      yield* retryTransient({ ...defaultPolicy, times: 1 })(client)
        .execute(request)
        .pipe(Effect.forkChild);
      yield* TestClock.adjust("99 millis");
      assert.strictEqual(sent.times, 1);
      yield* TestClock.adjust("101 millis");
      assert.strictEqual(sent.times, 2);
    }).pipe(Random.withSeed("jitter")),
  );

  it.effect(
    "gives up a request that is not answered in time, and sends it again",
    () =>
      Effect.gen(function* () {
        const { client, sent } = counting(Effect.never);
        const asking = yield* client.pipe(
          answeredWithin("10 seconds"),
          retryTransient({ ...defaultPolicy, times: 1 }),
          (client) => client.execute(request),
          Effect.flip,
          Effect.forkChild,
        );
        yield* TestClock.adjust("10 seconds");
        yield* TestClock.adjust("10200 millis");
        const error = yield* Fiber.join(asking);
        assert.strictEqual(error.reason._tag, "TransportError");
        assert.include(error.message, "no answer within 10s");
        assert.strictEqual(sent.times, 2);
      }),
  );

  it.effect("counts an answer that stalls halfway as none", () =>
    Effect.gen(function* () {
      const stalled = Effect.sync(() =>
        HttpClientResponse.fromWeb(
          request,
          new Response(
            new ReadableStream({
              start: (body) => body.enqueue(new TextEncoder().encode("[{")),
            }),
          ),
        ),
      );
      const { client, sent } = counting(stalled);
      const asking = yield* answeredWithin("10 seconds")(client)
        .execute(request)
        .pipe(Effect.flip, Effect.forkChild);
      yield* TestClock.adjust("10 seconds");
      const error = yield* Fiber.join(asking);
      assert.include(error.message, "no answer within 10s");
      assert.strictEqual(sent.times, 1);
    }),
  );
});
