import { assert, describe, it } from "@effect/vitest";
import { Effect, Schema } from "effect";
import { HttpServerRequest } from "effect/http";
import * as JsonBody from "../../src/http/JsonBody.ts";

const read = (text: string) =>
  JsonBody.use(
    HttpServerRequest.fromWeb(
      new Request("http://service/", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: text,
      }),
    ),
    Effect.succeed,
  );

const Digits = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[1-9]\d{0,6}$/)),
  Schema.String.check(Schema.isPattern(/^[1-9]\d{14,25}$/)),
  Schema.String.check(Schema.isPattern(/^[1-9]\d{14}0{1,9}$/)),
]);
const Key = Schema.Literals(["a", "1", "__proto__"]);

/** Numbers as callers may write them, short and long. */
const NumberText = Schema.Union([
  Digits,
  Schema.TemplateLiteral([Digits, ".", Digits]),
  Schema.TemplateLiteral([Digits, Schema.Literals(["e+", "e-", "E"]), "22"]),
]);

const Fields = Schema.Array(
  Schema.Struct({ key: Key, number: NumberText, text: Schema.String }),
).check(Schema.isMaxLength(3));

/** JSON without a space; a key may come twice. */
const textOf = (fields: typeof Fields.Type) =>
  `{${fields
    .map(({ key, number, text }) =>
      text.length % 2 === 0
        ? `"${key}":${number}`
        : `"${key}s":[${JSON.stringify(text)},${number}]`,
    )
    .join(",")}}`;

/** No program writes a space in front: such a body is read digit by digit. */
const readBothWays = Effect.fnUntraced(function* (text: string) {
  const close = yield* Effect.result(read(text));
  const spaced = yield* Effect.result(read(` ${text}`));
  assert.strictEqual(close._tag, spaced._tag, text);
  if (close._tag === "Success" && spaced._tag === "Success") {
    assert.deepStrictEqual(close.success, spaced.success, text);
  }
  return close._tag;
});

describe("a body", () => {
  it.effect.prop(
    "is read the same however it is spaced",
    [Fields],
    ([fields]) => readBothWays(textOf(fields)),
  );

  it.effect.each([
    ["a number kept by its digits", '{"a":123456789012345680000}', "Success"],
    ["a number of a rounded value", '{"a":1e+23}', "Success"],
    ["two equal keys", '{"a":1,"a":2}', "Failure"],
    ["half a surrogate pair", '{"a":"\\ud800"}', "Success"],
    ["keys that are numbers", '{"b":1,"2":1,"1":1}', "Success"],
    ["a plain order", '{"order_id":"a","total_amount":1.5}', "Success"],
  ] as const)("is read the same with %s", ([, text, result]) =>
    Effect.map(readBothWays(text), (tag) => assert.strictEqual(tag, result)),
  );
});
