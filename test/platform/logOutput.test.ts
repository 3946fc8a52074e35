import { PassThrough, Writable } from "node:stream";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Metric } from "effect";
import { TestClock } from "effect/testing";
import * as Observability from "../../src/operations/Observability.ts";
import * as LogOutput from "../../src/platform/LogOutput.ts";

/** An output with a reader that can stall, and writes that can fail. */
const outputOf = () => {
  const state = {
    text: "",
    isStalled: false,
    error: undefined as NodeJS.ErrnoException | undefined,
    resume: () => {},
  };
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      const end = () => {
        if (state.error === undefined) state.text += chunk;
        done(state.error);
      };
      if (state.isStalled) state.resume = end;
      else end();
    },
    // Node's own outputs are used on after an error, in this way.
    destroy(error, done) {
      done(error);
      (stream as unknown as { _undestroy: () => void })._undestroy();
    },
  });
  return { state, stream };
};

const failure = (code: string) => Object.assign(new Error(code), { code });

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the output of the log", () => {
  it("stores a bounded part for a stalled reader, and counts the rest", async () => {
    const { state, stream } = outputOf();
    const output = LogOutput.make(stream, outputOf().stream);
    const line = "x".repeat(1_023);
    state.isStalled = true;
    for (let index = 0; index < 10_000; index++) output.console.log(line);
    assert.isAtMost(stream.writableLength, 4 * 1024 * 1024);
    assert.isFalse(output.isRead());
    const dropped = output.dropped();
    assert.strictEqual(dropped, 10_000 - 4_096);

    state.isStalled = false;
    state.resume();
    await turn();
    output.console.log("after");
    await turn();
    const lines = state.text.trimEnd().split("\n");
    assert.strictEqual(lines.length + dropped, 10_001);
    assert.isTrue(lines.slice(0, -1).every((read) => read === line));
    assert.strictEqual(lines.at(-1), "after");
    assert.isTrue(output.isRead());
    assert.strictEqual(output.dropped(), dropped);
  });

  it("counts what cannot be written, and writes again when it can", async () => {
    const { state, stream } = outputOf();
    const output = LogOutput.make(stream, outputOf().stream);
    state.error = failure("ENOSPC");
    output.console.log("a\nb");
    await turn();
    output.console.log("c");
    await turn();
    assert.strictEqual(output.dropped(), 3);
    assert.isFalse(output.isRead());
    state.error = undefined;
    output.console.log("d");
    await turn();
    assert.strictEqual(state.text, "d\n");
    assert.isTrue(output.isRead());
  });

  it("does not read another process while its own reader stalls", async () => {
    const { state, stream } = outputOf();
    const output = LogOutput.make(stream, outputOf().stream);
    const source = new PassThrough();
    output.passOn(source);
    state.isStalled = true;
    let taken = 0;
    const chunk = Buffer.from(`${"x".repeat(1_023)}\n`);
    while (source.writableLength < 1024 * 1024) {
      source.write(chunk);
      if (++taken % 64 === 0) await turn();
      assert.isBelow(taken, 4_096);
    }
    assert.isBelow(stream.writableLength, 256 * 1024);
    assert.strictEqual(output.dropped(), 0);
  });

  it.each([
    ["EPIPE", true],
    ["ENOSPC", false],
  ])("after %s, another process's pipe is closed: %s", async (code, closed) => {
    const { state, stream } = outputOf();
    const output = LogOutput.make(stream, outputOf().stream);
    const source = new PassThrough();
    output.passOn(source);
    state.error = failure(code);
    source.write("a\nb\n");
    await turn();
    assert.strictEqual(source.destroyed, closed);
    assert.strictEqual(output.dropped(), 2);
  });

  it.effect("has its dropped lines counted, and logged once it is read", () =>
    Effect.gen(function* () {
      const lines: Array<string> = [];
      const log = { dropped: 0, isRead: true };
      const counted = Effect.map(
        Metric.snapshot,
        (metrics) =>
          metrics.find(({ id }) => id === "log_lines_dropped_total")?.state,
      );
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("2 seconds");
        assert.deepStrictEqual(lines, []);
        log.dropped = 7;
        log.isRead = false;
        yield* TestClock.adjust("2 seconds");
        assert.deepInclude(yield* counted, { count: 7 });
        assert.deepStrictEqual(lines, []);
        log.isRead = true;
        yield* TestClock.adjust("3 seconds");
        assert.deepInclude(yield* counted, { count: 7 });
      }).pipe(
        Effect.provide(
          Observability.layer({
            instance: "a:1",
            isOneOfMany: false,
            logFormat: "json",
            logLevel: "Info",
            otlpEndpoint: undefined,
            logOutput: {
              console: {
                ...globalThis.console,
                log: (line: string) => lines.push(line),
              },
              dropped: () => log.dropped,
              isRead: () => log.isRead,
            },
          }),
        ),
      );
      assert.lengthOf(lines, 1);
      assert.deepInclude(JSON.parse(lines[0] ?? ""), {
        level: "WARN",
        lines: 7,
      });
    }),
  );
});
