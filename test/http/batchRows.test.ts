/** The orders of a batch, told apart: in an array, and in pieces of lines. */
import { Arbitrary, Effect, Result, Schema } from "effect";
import { assert, describe, it } from "vitest";
import * as BatchRows from "../../src/http/BatchRows.ts";

const holds = <S extends Schema.Constraint>(
  schema: S,
  law: (value: S["Type"]) => void,
) => {
  const result = Effect.runSync(
    Arbitrary.checkEffect(
      Arbitrary.schema(schema),
      (value) => Effect.sync(() => law(value)).pipe(Effect.as(true)),
      { runs: 500, concurrency: 1 },
    ) as Effect.Effect<Parameters<typeof Arbitrary.formatCheckFailure>[0]>,
  );
  assert.isUndefined(Arbitrary.formatCheckFailure(result));
};

const textOf = (line: BatchRows.Line) =>
  line === "too long" ? line : new TextDecoder().decode(line);

const linesIn = (pieces: ReadonlyArray<Uint8Array>, max: number) => {
  const splitter = new BatchRows.LineSplitter(max);
  // A piece belongs to who sent it: it may be written over once it was read.
  const lines = pieces.flatMap((piece) => {
    const given = Uint8Array.from(piece);
    const found = splitter.push(given).map(textOf);
    given.fill(0x21);
    return found;
  });
  return [...lines, ...splitter.end().map(textOf)];
};

describe("lines", () => {
  const Piece = Schema.Literals([
    ...["\n", "\r\n", "\n\n", " ", "\t\n", "a", "{}", "é", "😀", "abcdefgh"],
  ] as const);
  const Cut = Schema.Struct({
    pieces: Schema.Array(Piece).check(Schema.isMaxLength(12)),
    size: Schema.Literals([1, 2, 3, 5, 64]),
  });

  it("are the same wherever the body is cut", () => {
    holds(Cut, ({ pieces, size }) => {
      const text = pieces.join("");
      const bytes = new TextEncoder().encode(text);
      const cut = Array.from(
        { length: Math.ceil(bytes.length / size) },
        (_, n) => bytes.subarray(n * size, (n + 1) * size),
      );
      const max = 8;
      const expected = text
        .split("\n")
        .filter((line) => line.trim() !== "")
        .map((line) =>
          new TextEncoder().encode(line).length > max ? "too long" : line,
        );
      // A blank line may be too long as well: nobody sent an order on it.
      const isBlankTooLong = text
        .split("\n")
        .some((line) => line.trim() === "" && line.length > max);
      if (isBlankTooLong) return;
      assert.deepStrictEqual(linesIn(cut, max), expected);
      assert.deepStrictEqual(linesIn([bytes], max), expected);
    });
  });

  it("that are too long are not kept, and harm not the next", () => {
    const splitter = new BatchRows.LineSplitter(4);
    const bytes = (text: string) => new TextEncoder().encode(text);
    for (let n = 0; n < 100; n += 1) {
      assert.deepStrictEqual(splitter.push(bytes("xxx")), []);
      assert.isAtMost(splitter.pending, 4);
    }
    const lines = splitter.push(bytes("\nabcd\nabcde\nab"));
    assert.deepStrictEqual(lines.map(textOf), ["too long", "abcd", "too long"]);
    assert.deepStrictEqual(splitter.end().map(textOf), ["ab"]);
  });
});

describe("the elements of an array", () => {
  const Element: Schema.Codec<unknown> = Schema.Union([
    Schema.String,
    Schema.Finite,
    Schema.Boolean,
    Schema.Null,
    Schema.Array(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
    Schema.Record(Schema.String, Schema.Array(Schema.String)),
  ]);

  it("are told apart, whatever is in them and around them", () => {
    holds(Schema.Array(Element), (values) => {
      for (const space of ["", " ", "\n\t"]) {
        const texts = values.map((value) => JSON.stringify(value, null, space));
        const text = `${space}[${space}${texts.join(`${space},${space}`)}${space}]`;
        assert.deepStrictEqual(
          BatchRows.elementsOf(text).map((element) => JSON.parse(element)),
          JSON.parse(text),
        );
      }
    });
    assert.deepStrictEqual(
      BatchRows.elementsOf('["\\\\","\\"],[",{"a]":"\\\\\\""},[[],[1,[2]]]]'),
      ['"\\\\"', '"\\"],["', '{"a]":"\\\\\\""}', "[[],[1,[2]]]"],
    );
    assert.deepStrictEqual(BatchRows.elementsOf(" [ ] "), []);
  });

  it("are read by themselves: a fault of one is its own", () => {
    const rows = Effect.runSync(
      BatchRows.ofArray(
        `[{"a":1,"a":2},{"a":0.10},${"[".repeat(9_000)}${"]".repeat(9_000)},7]`,
      ),
    );
    assert.deepStrictEqual(rows.map(Result.isSuccess), [
      false,
      true,
      false,
      true,
    ]);
  });
});
