/** How an import sees its batches through, on a test clock. */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Fiber } from "effect";
import {
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse,
} from "effect/http";
import { TestClock } from "effect/testing";
import { BodyTooLarge, KeyRequired } from "../../src/api/Problems.ts";
import { makeSender } from "../../src/cli/Sending.ts";
import type { Client } from "../../src/cli/Settings.ts";
import { foreignAnswer } from "../../src/client/ForeignAnswer.ts";

type PlaceLines = Client["placeLines"];
type Answer = ReturnType<PlaceLines>;

const entries = (lines: ReadonlyArray<string>, status: number): Answer =>
  Effect.succeed(
    lines.map((order_id) => ({
      order_id,
      status,
      ...(status >= 400 && { problem: { title: `is ${status}`, status } }),
    })),
  );

const noAnswer: Answer = Effect.fail(
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({
      request: HttpClientRequest.get("http://a/"),
    }),
  }),
);

/** Answers one after the other; the last one for ever. */
const sender = (
  ...answers: ReadonlyArray<(lines: ReadonlyArray<string>) => Answer>
) => {
  const sent: Array<ReadonlyArray<string>> = [];
  const placeLines: PlaceLines = (lines) =>
    Effect.suspend(() => {
      const answer = answers[Math.min(sent.length, answers.length - 1)];
      sent.push(lines);
      return answer?.(lines) ?? Effect.die("nothing to answer");
    });
  return Effect.map(makeSender({ placeLines }, "http://a"), (made) => ({
    ...made,
    sent,
  }));
};

const good = (lines: ReadonlyArray<string>) => entries(lines, 201);
const away = () => noAnswer;

describe("a batch", () => {
  it.effect("waits for a service that was there, and says so", () =>
    Effect.gen(function* () {
      const { send, sent, waiting } = yield* sender(good, away, away, good);
      yield* send(["1"]);
      const fiber = yield* Effect.forkChild(send(["2"]));
      yield* TestClock.adjust("500 millis");
      assert.include(waiting(), "does not answer");
      yield* TestClock.adjust("3 seconds");
      const outcomes = yield* Fiber.join(fiber);
      assert.deepStrictEqual(
        outcomes.map(({ status }) => status),
        [201],
      );
      assert.deepStrictEqual(sent, [["1"], ["2"], ["2"], ["2"]]);
      assert.isUndefined(waiting());
    }),
  );

  it.effect("does not wait for one that was never there", () =>
    Effect.gen(function* () {
      const { send } = yield* sender(away);
      const error = yield* Effect.flip(send(["1"]));
      assert.strictEqual(error._tag, "HttpClientError");
    }),
  );

  it.effect("gives up after five minutes without an answer", () =>
    Effect.gen(function* () {
      const { send } = yield* sender(good, away);
      yield* send(["1"]);
      const fiber = yield* Effect.forkChild(Effect.flip(send(["2"])));
      yield* TestClock.adjust("5 minutes");
      assert.isUndefined(fiber.pollUnsafe());
      yield* TestClock.adjust(Duration.seconds(31));
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "HttpClientError");
    }),
  );

  it.effect("sends again only the rows whose refusal may pass", () =>
    Effect.gen(function* () {
      const statuses: Readonly<Record<string, number>> = { b: 503, c: 409 };
      const mixed = (lines: ReadonlyArray<string>) =>
        Effect.map(
          Effect.forEach(lines, (line) =>
            entries([line], statuses[line] ?? 201),
          ),
          (all) => all.flat(),
        );
      const { send, sent } = yield* sender(mixed, good);
      const fiber = yield* Effect.forkChild(send(["a", "b", "c"]));
      yield* TestClock.adjust("1 seconds");
      const outcomes = yield* Fiber.join(fiber);
      assert.deepStrictEqual(sent, [["a", "b", "c"], ["b"]]);
      assert.deepStrictEqual(
        outcomes.map(({ order_id, reason, status }) => [
          order_id,
          status,
          reason,
        ]),
        [
          ["a", 201, undefined],
          ["b", 201, undefined],
          ["c", 409, "is 409"],
        ],
      );
    }),
  );

  it.effect("that is too large goes in halves; one row alone is refused", () =>
    Effect.gen(function* () {
      const { send } = yield* sender((lines) =>
        lines.includes("large")
          ? Effect.fail(new BodyTooLarge({ detail: "at most 1 MiB" }))
          : good(lines),
      );
      const outcomes = yield* send(["a", "b", "large", "c"]);
      assert.deepStrictEqual(
        outcomes.map(({ status }) => status),
        [201, 201, 413, 201],
      );
      assert.include(outcomes[2]?.reason, "at most 1 MiB");
    }),
  );

  it.effect("halves a batch that a proxy finds too large, too", () =>
    Effect.gen(function* () {
      const tooLarge = Effect.suspend(() => {
        const request = HttpClientRequest.post("http://a/");
        const page = new Response("<h1>413</h1>", { status: 413 });
        return Effect.fail(
          foreignAnswer(HttpClientResponse.fromWeb(request, page)),
        );
      });
      const { send, sent } = yield* sender((lines) =>
        lines.length > 1 ? tooLarge : good(lines),
      );
      const outcomes = yield* send(["a", "b", "c"]);
      assert.deepStrictEqual(
        outcomes.map(({ status }) => status),
        [201, 201, 201],
      );
      assert.lengthOf(sent, 5);
    }),
  );

  it.effect("ends at once where it is not allowed, or was not understood", () =>
    Effect.gen(function* () {
      const { send, sent } = yield* sender(good, () =>
        Effect.fail(new KeyRequired({ detail: "no key" })),
      );
      yield* send(["1"]);
      assert.strictEqual((yield* Effect.flip(send(["2"])))._tag, "KeyRequired");
      assert.strictEqual(sent.length, 2);
      const other = yield* sender(() => entries(["1"], 201));
      assert.include(
        (yield* Effect.flip(other.send(["1", "2"]))).message,
        "another version",
      );
    }),
  );
});
