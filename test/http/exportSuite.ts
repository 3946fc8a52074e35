/** `GET /api/orders/export/`: the orders of a list, as one stream. */
import { assert, beforeAll, describe, it } from "vitest";
import { ordersIn } from "../support/csv.ts";
import { type Api, assertFaults, newId } from "./api.ts";

export const exportSuite = (api: () => Api) => {
  describe("exporting orders", () => {
    const user = newId();
    let all: ReadonlyArray<object>;

    const path = (parameters: Readonly<Record<string, string>> = {}) =>
      `/api/orders/export/?${new URLSearchParams({ user_id: user, ...parameters })}`;

    beforeAll(async () => {
      const placed = await Promise.all(
        ["plain", "=1+1", 'a "quote"', "Ünïcode", "refuse-once"].map((item) =>
          api().place({
            user_id: JSON.stringify(user),
            item_ids: JSON.stringify([item, { "=": 1 }]),
          }),
        ),
      );
      for (const order of placed.slice(0, -1)) {
        await api().until(order, "COMPLETED");
      }
      await api().until(placed.at(-1) as never, "FAILED");
      all = (await api().get(`/api/orders/?user_id=${user}`)).json;
      assert.lengthOf(all, 5);
    });

    const linesOf = (text: string) => {
      assert.isTrue(text.endsWith("\n"));
      return text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    };

    it("gives what the list gives, as NDJSON, and how many", async () => {
      const answer = await api().get(path());
      assert.strictEqual(answer.status, 200);
      const { headers } = answer;
      assert.strictEqual(headers["content-type"], "application/x-ndjson");
      assert.strictEqual(headers["cache-control"], "no-store");
      assert.match(headers["content-disposition"] ?? "", /orders\.ndjson/);
      assert.deepStrictEqual(linesOf(answer.text), [...all, { exported: 5 }]);
    });

    it("gives the same as CSV, by the query or by Accept", async () => {
      const asked = await api().get(path({ format: "csv" }), {
        accept: "application/x-ndjson",
      });
      const accepted = await api().get(path(), { accept: "text/csv" });
      for (const { headers, text } of [asked, accepted]) {
        assert.match(
          headers["content-type"] ?? "",
          /^text\/csv; charset=utf-8/,
        );
        assert.match(headers["content-disposition"] ?? "", /orders\.csv/);
        assert.deepStrictEqual(ordersIn(text), all);
      }
    });

    it("gives what passes the filter, also when that is none", async () => {
      const failed = await api().get(path({ status: "FAILED" }));
      assert.deepStrictEqual(linesOf(failed.text).at(-1), { exported: 1 });
      const none = await api().get(path({ created_after: "2100-01-01" }));
      assert.deepStrictEqual(linesOf(none.text), [{ exported: 0 }]);
      const noRow = await api().get(
        path({ created_after: "2100-01-01", format: "csv" }),
      );
      assert.deepStrictEqual(ordersIn(noRow.text), []);
    });

    it("answers HEAD as GET, without a body", async () => {
      const get = await api().get(path({ format: "csv" }));
      const head = await api().request("HEAD", path({ format: "csv" }));
      assert.strictEqual(head.status, 200);
      assert.strictEqual(head.text, "");
      for (const name of ["content-type", "content-disposition"]) {
        assert.strictEqual(head.headers[name], get.headers[name]);
      }
    });

    it("refuses what is no filter of the list, all at once", async () => {
      assertFaults(
        await api().get(
          path({ format: "xlsx", status: "DONE", created_after: "now" }),
        ),
        {
          "query.format": /ndjson or csv/,
          "query.status.0": /one of/,
          "query.created_after": /a time such as/,
        },
      );
    });

    it("is no order, nor can one be called so", async () => {
      const refused = await api().place({ order_id: '"export"' });
      assert.strictEqual(refused.status, 400);
    });
  });
};
