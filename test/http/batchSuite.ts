/** `POST /api/orders/batch/`: each order as if alone, all or none, and as lines. */
import { Arbitrary, Effect, Schema } from "effect";
import { assert, describe, it } from "vitest";
import {
  type Answer,
  type Api,
  assertFaults,
  assertProblem,
  newId,
  orderJson,
  type Sent,
} from "./api.ts";

interface Entry {
  readonly order_id: string | null;
  readonly status: number;
  readonly order?: Readonly<Record<string, unknown>>;
  readonly problem?: Readonly<Record<string, unknown>>;
}

const conflict = "urn:order-service:order-conflict";

/** An order that is called like this. */
const called = (
  order_id: string,
  fields: Readonly<Record<string, string>> = {},
) => orderJson({ order_id: JSON.stringify(order_id), ...fields });

export const batchSuite = (api: () => Api) => {
  const path = "/api/orders/batch/";
  const send = (
    body: string | Uint8Array,
    contentType = "application/json",
    { query = "", ...sent }: Omit<Sent, "body"> & { query?: string } = {},
  ) =>
    api().request("POST", path + query, {
      ...sent,
      body,
      headers: { "content-type": contentType, ...sent.headers },
    });
  const asArray = (orders: ReadonlyArray<string>) => `[${orders.join(",")}]`;
  const asLines = (orders: ReadonlyArray<string>) => `${orders.join("\n")}\n`;
  const lines = "application/x-ndjson";

  const entriesOf = (answer: Answer): ReadonlyArray<Entry> => {
    assert.strictEqual(answer.status, 200, answer.text);
    return answer.json;
  };
  const statusesOf = (answer: Answer) =>
    entriesOf(answer).map(({ status }) => status);

  const isThere = async (order_id: string) =>
    (await api().get(`/api/orders/${encodeURIComponent(order_id)}/`)).status ===
    200;

  /** What an order says, and not what has become of it since. */
  const contentOf = (order: Readonly<Record<string, unknown>> | undefined) =>
    order && {
      order_id: order.order_id,
      user_id: order.user_id,
      item_ids: order.item_ids,
      total_amount: order.total_amount,
    };

  describe("placing many orders", () => {
    it("answers for each in the order given: new, replayed, conflicting and bad ones", async () => {
      const [a, b, stored] = [newId(), newId(), newId()];
      const seven = `7${"0".repeat(30)}`;
      await api().place(called(stored));
      const answer = await send(
        asArray([
          called(a),
          called(stored),
          `{"order_id":${seven},"user_id":"","item_ids":[],"total_amount":"1.001"}`,
          called(a),
          called(stored, { total_amount: "1" }),
          called(a, { user_id: '"other"' }),
          "null",
          called(b),
        ]),
      );
      const entries = entriesOf(answer);
      assert.deepStrictEqual(
        entries.map(({ order_id, status }) => [order_id, status]),
        [
          [a, 201],
          [stored, 200],
          [seven, 400],
          [a, 200],
          [stored, 409],
          [a, 409],
          [null, 400],
          [b, 201],
        ],
      );
      for (const { order, problem, status } of entries) {
        assert.strictEqual(order !== undefined, status < 300);
        assert.strictEqual(problem?.status, status < 300 ? undefined : status);
      }
      assert.strictEqual(entries[4]?.problem?.type, conflict);
      const found = await api().get(`/api/orders/${a}/`);
      assert.deepStrictEqual(
        contentOf(found.json),
        contentOf(entries[0]?.order),
      );
      assert.strictEqual(found.json.user_id, "USER001");
      assert.isTrue(await isThere(b));
      assert.isFalse(await isThere(seven));
    });

    it("says of each what placing it alone is answered, whatever is beside it", async () => {
      const Kind = Schema.Literals([
        ...["new", "again", "other", "twice", "blank id", "no object"],
        ...["long id", "equal keys", "exact", "rounded", "items", "deep"],
      ] as const);
      let turn = 0;
      const jsonOf = (kind: typeof Kind.Type, ids: string, index: number) => {
        const id = `${ids}-${index}`;
        switch (kind) {
          case "new":
            return called(id);
          case "again":
            return called(`${ids}-stored`);
          case "other":
            return called(`${ids}-stored`, { total_amount: "5" });
          case "twice":
            return called(`${ids}-twice`);
          case "blank id":
            return called("  ", { total_amount: "0" });
          case "no object":
            return '[ "a,}{" , 1 ]';
          case "long id":
            return orderJson({
              order_id: `1${String(index).padStart(30, "0")}`,
            });
          case "equal keys":
            return `{"order_id":"${id}","order_id":"x"}`;
          case "exact":
            return called(id, { total_amount: "19.90" });
          case "rounded":
            return called(id, { total_amount: "0.300000000000000001" });
          case "items":
            return called(id, {
              item_ids: '[ "a\\"],[{" , {"b":[1e2, 2.50]},"\\\\" ]',
            });
          case "deep":
            return called(id, {
              item_ids: `[${"[".repeat(40)}${"]".repeat(40)}]`,
            });
        }
      };
      /** As it is told, without times and ids that were made for the turn. */
      const told = (ids: string, text: string) =>
        JSON.parse(text.replaceAll(ids, "ids"));
      const result = await Effect.runPromise(
        Arbitrary.checkEffect(
          Arbitrary.schema(
            Schema.Array(Kind).check(
              Schema.isMinLength(1),
              Schema.isMaxLength(9),
            ),
          ),
          (kinds) =>
            Effect.promise(async () => {
              turn += 1;
              const [alone, inBatch, inLines] = ["a", "b", "c"].map(
                (one) => `${newId()}-${turn}${one}`,
              ) as [string, string, string];
              for (const ids of [alone, inBatch, inLines]) {
                await api().place(called(`${ids}-stored`));
              }
              const expected = [];
              for (const [index, kind] of kinds.entries()) {
                const { status, text } = await api().place(
                  jsonOf(kind, alone, index),
                );
                expected.push({ status, body: told(alone, text) });
              }
              for (const ids of [inBatch, inLines]) {
                const rows = kinds.map((kind, index) =>
                  jsonOf(kind, ids, index),
                );
                const answer = await (ids === inBatch
                  ? send(asArray(rows))
                  : send(asLines(rows), lines));
                const entries = told(ids, answer.text) as ReadonlyArray<Entry>;
                assert.deepStrictEqual(
                  entries.map(({ order, problem, status }) => ({
                    // A number as an id is the same in all three.
                    status: status === 200 ? 201 : status,
                    body: contentOf(order) ?? problem,
                  })),
                  expected.map(({ body, status }) => ({
                    status: status === 200 ? 201 : status,
                    body: status < 300 ? contentOf(body) : body,
                  })),
                );
                assert.deepStrictEqual(
                  entries.flatMap(({ status }, index) =>
                    kinds[index] === "long id" ? [] : [status],
                  ),
                  expected.flatMap(({ status }, index) =>
                    kinds[index] === "long id" ? [] : [status],
                  ),
                );
              }
              return true;
            }),
          { runs: 25, concurrency: 1 },
        ),
      );
      assert.isUndefined(Arbitrary.formatCheckFailure(result));
    });

    it("leaves the orders out where they are not wanted", async () => {
      const id = newId();
      for (const status of [201, 200]) {
        const answer = await send(asArray([called(id)]), undefined, {
          headers: { prefer: "wait=5, return=minimal" },
        });
        assert.deepStrictEqual(entriesOf(answer), [{ order_id: id, status }]);
        assert.strictEqual(
          answer.headers["preference-applied"],
          "return=minimal",
        );
      }
      const whole = await send(asArray([called(id)]), undefined, {
        headers: { prefer: "return=representation" },
      });
      assert.isDefined(entriesOf(whole)[0]?.order);
      assert.isUndefined(whole.headers["preference-applied"]);
    });

    it("takes 500 orders, written in any way, and not one more", async () => {
      const ids = Array.from({ length: 500 }, newId);
      const orders = ids.map((id) => called(id));
      const spaced = `[ ${orders.join(" ,\n ")} ]\n`;
      assert.deepStrictEqual(
        entriesOf(await send(spaced)).map(({ order_id, status }) => [
          order_id,
          status,
        ]),
        ids.map((id) => [id, 201]),
      );
      assert.deepStrictEqual(
        new Set(statusesOf(await send(asArray(orders)))),
        new Set([200]),
      );
      const late = newId();
      for (const written of [
        asArray([...orders, called(late)]),
        ` ${asArray([...orders, called(late)])}`,
      ]) {
        assertFaults(await send(written), {
          payload: /at most 500 .* has 501/,
        });
      }
      assert.isFalse(await isThere(late));
    });

    it("refuses what is no batch, as a whole", async () => {
      for (const [body, message] of [
        ["[]", /is empty/],
        [" [ ] ", /is empty/],
        ["{}", /JSON array of orders/],
        [called(newId()), /JSON array of orders/],
        ["", /is empty/],
      ] as const) {
        assertFaults(await send(body), { payload: message });
      }
      const cut = newId();
      for (const body of [
        `[${called(cut)},]`,
        `[${called(cut)}`,
        "[}",
        "[]]",
      ]) {
        const answer = await send(body);
        assertProblem(answer, 400);
        assert.match(answer.json.detail, /not valid JSON/);
      }
      assert.isFalse(await isThere(cut));
      assertFaults(await send(new Uint8Array([0x5b, 0xff])), {
        payload: /not UTF-8/,
      });
      assertFaults(await send("\n \r\n", lines), { payload: /No line/ });
      const other = await send(called(newId()), "text/plain");
      assertProblem(other, 415, "urn:order-service:not-json");
      assert.match(other.json.detail, /application\/json.*x-ndjson/);
      assertProblem(
        await send(asArray([called(newId())]), undefined, {
          query: "?atomic=yes",
        }),
        400,
      );
      assertProblem(
        await send(`[${" ".repeat(1024 * 1024)}]`),
        413,
        "urn:order-service:body-too-large",
      );
    });

    it("reads no large order that is not the same, and answers the one that is", async () => {
      const large = (letter: string, length: number) => ({
        item_ids: JSON.stringify([letter.repeat(length)]),
      });
      const id = newId();
      const answer = await send(
        asArray([
          called(id, large("a", 20_000)),
          called(id, large("a", 20_000)),
          called(id, large("b", 20_000)),
          called(id, large("a", 20_001)),
        ]),
      );
      assert.deepStrictEqual(statusesOf(answer), [201, 200, 409, 409]);
      const again = await send(
        asArray([
          called(id, large("a", 20_001)),
          called(id),
          called(id, large("a", 20_000)),
          called(id, large("b", 20_000)),
        ]),
      );
      assert.deepStrictEqual(statusesOf(again), [409, 409, 200, 409]);
      assert.deepStrictEqual(
        contentOf(entriesOf(again)[2]?.order),
        contentOf(entriesOf(answer)[0]?.order),
      );
    });

    it("keeps an answer small, however much there is to say of bad orders", async () => {
      const bad = called("x", {
        item_ids: `[${Array(1000).fill("null").join(",")}]`,
      });
      const answer = await send(asArray(Array(150).fill(bad)));
      assert.isBelow(answer.bytes.length, 3 * 2 ** 20);
      const entries = entriesOf(answer);
      assert.strictEqual(entries.length, 150);
      assert.lengthOf(entries[0]?.problem?.errors as Array<unknown>, 1000);
      assert.deepInclude(entries[149]?.problem, { status: 400 });
      assert.notProperty(entries[149]?.problem, "errors");
    });
  });

  describe("placing all orders or none", () => {
    const atomic = { query: "?atomic=true" };

    it("places all of them, and answers the same batch again", async () => {
      const ids = [newId(), newId(), newId()];
      const orders = [...ids, ids[0] as string].map((id) => called(id));
      const placed = await send(asArray(orders), undefined, atomic);
      assert.deepStrictEqual(statusesOf(placed), [201, 201, 201, 200]);
      const again = await send(asLines(orders), lines, atomic);
      assert.deepStrictEqual(statusesOf(again), [200, 200, 200, 200]);
      assert.deepStrictEqual(
        entriesOf(again).map(({ order }) => contentOf(order)),
        entriesOf(placed).map(({ order }) => contentOf(order)),
      );
      const more = await send(
        asArray([called(ids[1] as string), called(newId())]),
        undefined,
        atomic,
      );
      assert.deepStrictEqual(statusesOf(more), [200, 201]);
    });

    it("places none where one is bad, and names each fault by its place", async () => {
      const id = newId();
      const answer = await send(
        asArray([
          called(id),
          '{"order_id":"x","user_id":"u","item_ids":[null],"total_amount":-1}',
          "7",
        ]),
        undefined,
        atomic,
      );
      assertFaults(answer, {
        "payload.1.item_ids.0": /must not be null/,
        "payload.1.total_amount": /greater than zero/,
        "payload.2": /must be a JSON object/,
      });
      assert.match(answer.json.detail, /None of the 3 orders/);
      assert.isFalse(await isThere(id));
    });

    it("places none where an id is taken, by what is stored or by the batch itself", async () => {
      const [stored, a, b] = [newId(), newId(), newId()];
      const large = { item_ids: JSON.stringify(["x".repeat(10_000)]) };
      await api().place(called(stored, large));
      const answer = await send(
        asArray([
          called(a),
          called(stored),
          called(b),
          called(b, { user_id: '"other"' }),
          called(stored, large),
          called(stored, { item_ids: JSON.stringify(["y".repeat(10_000)]) }),
        ]),
        undefined,
        atomic,
      );
      assertProblem(answer, 409, "urn:order-service:orders-conflict");
      assert.deepStrictEqual(
        (answer.json.errors as ReadonlyArray<{ path: unknown }>).map(
          ({ path }) => path,
        ),
        [1, 3, 5].map((index) => ["payload", index, "order_id"]),
      );
      assert.deepStrictEqual(
        [await isThere(a), await isThere(b)],
        [false, false],
      );
    });

    it("places the same batch once when many send it at once, and one of two that overlap", async () => {
      const ids = Array.from({ length: 20 }, newId);
      const [first = "", second = ""] = ["1", "2"].map((total_amount) =>
        asArray(ids.map((id) => called(id, { total_amount }))),
      );
      const answers = await Promise.all(
        [first, second, first, second, first, second].map((body) =>
          send(body, undefined, atomic),
        ),
      );
      const placed = answers.filter(({ status }) => status === 200);
      const amounts = new Set(
        placed.flatMap((answer) =>
          entriesOf(answer).map(({ order }) => order?.total_amount),
        ),
      );
      assert.strictEqual(amounts.size, 1, "one content won, as a whole");
      assert.strictEqual(placed.length, 3);
      assert.strictEqual(
        placed.flatMap(statusesOf).filter((status) => status === 201).length,
        ids.length,
        "each is new once",
      );
      for (const answer of answers) {
        if (answer.status !== 200) {
          assertProblem(answer, 409, "urn:order-service:orders-conflict");
        }
      }
    });
  });

  describe("placing orders by lines", () => {
    it("reads lines however they end, and passes blank ones over", async () => {
      const [a, b, c] = [newId(), newId(), newId()];
      const bytes = Buffer.concat([
        Buffer.from(`\r\n${called(a)}\r\n  \n\n{"order_id":"x"\n`),
        Buffer.from([0x22, 0xff, 0x22, 0x0a]),
        Buffer.from(`${called(b)}\n\t${called(c)}`),
      ]);
      for (const [status, chunked] of [
        [201, false],
        [200, true],
      ] as const) {
        const entries = entriesOf(await send(bytes, lines, { chunked }));
        assert.deepStrictEqual(
          entries.map(({ order_id, status }) => [order_id, status]),
          [
            [a, status],
            [null, 400],
            [null, 400],
            [b, status],
            [c, status],
          ],
        );
        assert.match(String(entries[1]?.problem?.detail), /not valid JSON/);
        assert.match(String(entries[2]?.problem?.detail), /not UTF-8/);
      }
    });

    it("answers in lines where they are asked for", async () => {
      const ids = [newId(), newId()];
      for (const [body, type] of [
        [asLines(ids.map((id) => called(id))), lines],
        [asArray(ids.map((id) => called(id))), "application/json"],
      ] as const) {
        const answer = await send(body, type, {
          headers: { accept: "application/x-ndjson" },
        });
        assert.strictEqual(answer.status, 200);
        assert.strictEqual(answer.headers["content-type"], lines);
        assert.match(answer.text, /}\n$/);
        assert.deepStrictEqual(
          answer.text
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line).order_id),
          ids,
        );
      }
      const refused = await send("[]", undefined, {
        headers: { accept: "application/x-ndjson" },
      });
      assertProblem(refused, 400);
    });

    it("places the first 500 lines, and says that it read no more", async () => {
      const ids = Array.from({ length: 503 }, newId);
      const answer = await send(asLines(ids.map((id) => called(id))), lines, {
        headers: { prefer: "return=minimal" },
      });
      const entries = entriesOf(answer);
      assert.strictEqual(entries.length, 501);
      assert.deepStrictEqual(
        entries.slice(0, 500).map(({ order_id }) => order_id),
        ids.slice(0, 500),
      );
      const { order_id, problem, status } = entries[500] as Entry;
      assert.deepStrictEqual([order_id, status], [null, 400]);
      assert.match(String(problem?.detail), /at most 500/);
      assert.isTrue(await isThere(ids[499] as string));
      assert.isFalse(await isThere(ids[500] as string));
      assertFaults(
        await send(asLines(ids.map((id) => called(id))), lines, {
          query: "?atomic=true",
        }),
        { payload: /at most 500/ },
      );
    });

    it("takes lines that are together larger than a body may be, but no such line", async () => {
      const large = JSON.stringify(["x".repeat(600_000)]);
      const ids = [newId(), newId(), newId(), newId(), newId()];
      const [tooLong, ...others] = ids as [string, ...Array<string>];
      const body = asLines([
        called(tooLong, { item_ids: JSON.stringify(["x".repeat(2 ** 20)]) }),
        ...others.map((id) => called(id, { item_ids: large })),
      ]);
      for (const status of [201, 200]) {
        const entries = entriesOf(await send(body, lines));
        assert.deepStrictEqual(
          entries.map((entry) => [entry.order_id, entry.status]),
          [[null, 413], ...others.map((id) => [id, status])],
        );
        // The order is left out once there are two mebibytes of them.
        assert.isDefined(entries[1]?.order);
        assert.isBelow(JSON.stringify(entries).length, 3 * 2 ** 20);
      }
    });
  });
};
