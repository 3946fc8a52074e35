/** What happened: the feed, the stream, and the history of one order. */
import { assert, describe, it } from "vitest";
import type { CloudEvent } from "../../src/api/CloudEvent.ts";
import { framesOf } from "../support/sse.ts";
import {
  type Answer,
  type Api,
  assertFaults,
  assertProblem,
  newId,
  nextOf,
} from "./api.ts";

type Told = typeof CloudEvent.Encoded;

/** An order that is brought into a status; its user is nobody else's. */
const placed = async (api: Api, item: string) => {
  const order_id = newId();
  const answer = await api.place({
    order_id: JSON.stringify(order_id),
    user_id: JSON.stringify(`of ${order_id}`),
    item_ids: JSON.stringify([item]),
  });
  return { order_id, answer, query: `user_id=of%20${order_id}` };
};

/** Follows the feed until so many events have come. */
const feed = async (api: Api, query: string, count: number) => {
  const events: Array<Told> = [];
  let next: string | undefined = `/api/events/?wait=20&${query}`;
  while (events.length < count) {
    const page: Answer = await api.get(next ?? "");
    assert.strictEqual(page.status, 200, page.text);
    events.push(...page.json);
    next = nextOf(page);
    assert.isDefined(next, "there is always a next page");
  }
  return { events, next: next ?? "" };
};

export const eventsSuite = (api: () => Api) => {
  describe("the feed of events", () => {
    it("tells of an order as CloudEvents, from its placing to its end", async () => {
      const order = await placed(api(), "done");
      const { events } = await feed(api(), order.query, 2);
      const { json: done } = await api().until(order.answer, "COMPLETED");
      const of = {
        specversion: "1.0",
        source: "/api/orders/",
        subject: order.order_id,
        datacontenttype: "application/json",
      };
      const data = { order_id: order.order_id, user_id: done.user_id };
      assert.deepStrictEqual(
        events.map(({ id: _, ...event }) => event as object),
        [
          {
            ...of,
            type: "order.placed",
            time: done.created_at,
            data: { ...data, status: "PENDING", attempt: 0 },
          },
          {
            ...of,
            type: "order.completed",
            time: done.processing_completed_at,
            data: { ...data, status: "COMPLETED", attempt: 1 },
          },
        ],
      );
      assert.strictEqual(new Set(events.map(({ id }) => id)).size, 2);
    });

    it("goes on from the id of any event, and from the Link of any page", async () => {
      const order = await placed(api(), "done");
      const { events, next } = await feed(api(), order.query, 2);
      const [first, second] = events as [Told, Told];
      const after = await feed(api(), `${order.query}&after=${first.id}`, 1);
      assert.deepStrictEqual(after.events, [second]);
      const none = await api().get(next.replace("wait=20", "wait=0"));
      assert.deepStrictEqual(none.json, []);
      assert.include(
        nextOf(none),
        `user_id=${order.query.split("=")[1]?.replace("%20", "+")}`,
      );
      const one = await feed(api(), `${order.query}&limit=1`, 1);
      assert.deepStrictEqual(one.events, [first]);
      const other = await api().get(one.next);
      assert.deepStrictEqual(other.json, [second]);
    });

    it("tells why an attempt failed, when the next one is, and what somebody did", async () => {
      const later = await placed(api(), "later");
      await api().until(later.answer, "PENDING", 1);
      await api().post(`/api/orders/${later.order_id}/cancel/`);
      const { events } = await feed(api(), later.query, 3);
      assert.deepStrictEqual(
        events.map(({ data, type }) => [type, data.status, data.attempt]),
        [
          ["order.placed", "PENDING", 0],
          ["order.attempt_failed", "PENDING", 1],
          ["order.cancelled", "CANCELLED", 1],
        ],
      );
      const { error, next_attempt_at = "" } = events[1]?.data ?? {};
      assert.match(error ?? "", /500/);
      assert.isAbove(Date.parse(next_attempt_at), Date.now());
    });

    it("filters by any of several types", async () => {
      const order = await placed(api(), "refuse-once");
      await api().until(order.answer, "FAILED");
      await api().post(`/api/orders/${order.order_id}/retry/`);
      await api().until(order.answer, "COMPLETED");
      const { events } = await feed(
        api(),
        `${order.query}&type=order.retried&type=order.failed`,
        2,
      );
      assert.deepStrictEqual(
        events.map(({ type }) => type),
        ["order.failed", "order.retried"],
      );
    });

    it("begins after all that has happened when asked for the latest", async () => {
      await placed(api(), "done");
      const page = await api().get("/api/events/?after=latest&limit=1");
      const order = await placed(api(), "done");
      const next = (nextOf(page) ?? "").replace("limit=1", "limit=1000");
      const { events } = await feed(
        api(),
        `${next.split("?")[1]}&${order.query}`,
        2,
      );
      assert.deepStrictEqual(
        events.map(({ type }) => type),
        ["order.placed", "order.completed"],
      );
    });

    it("is told all faults of a query at once", async () => {
      assertFaults(
        await api().get(
          "/api/events/?after=yesterday&limit=1001&type=order.lost&wait=31&user_id=",
        ),
        {
          "query.after": /must be the id of an event/,
          "query.limit": /whole number from 1 to 1000/,
          "query.type.0": /must be one of order\.placed/,
          "query.wait": /whole number from 0 to 30/,
          "query.user_id": /must not be blank/,
        },
      );
    });

    it("answers 410 to an id of another database, and to one not given yet", async () => {
      const gone = "urn:order-service:events-gone";
      const order = await placed(api(), "done");
      const { events } = await feed(api(), order.query, 1);
      const [origin] = events[0]?.id.split("-") ?? [];
      for (const id of ["another-1-0", `${origin}-zzzzzz-0`]) {
        const answer = await api().get(`/api/events/?after=${id}`);
        assertProblem(answer, 410, gone);
        assert.include(answer.json.detail, "another database");
      }
    });
  });

  describe("the stream of events", () => {
    it("says at once where it begins, and how soon to come back", async () => {
      for (const query of ["", "?after=latest"]) {
        const answer = await api().get(`/api/events/stream/${query}`);
        assert.strictEqual(answer.status, 200);
        assert.strictEqual(answer.headers["content-type"], "text/event-stream");
        assert.strictEqual(answer.headers["cache-control"], "no-store");
        const [start] = framesOf(answer.text);
        assert.strictEqual(start?.retry, "1000");
        assert.isUndefined(start?.data);
        const page = await api().get(`/api/events/?after=${start?.id}`);
        assert.strictEqual(page.status, 200);
      }
    });

    it("gives each event as the feed does, after an id or Last-Event-ID", async () => {
      const order = await placed(api(), "done");
      const { events } = await feed(api(), order.query, 2);
      const [first, second] = events as [Told, Told];
      const path = `/api/events/stream/?${order.query}`;
      const asked = [
        [await api().listen(path, 3), [first, second]],
        [await api().listen(`${path}&after=${first.id}`, 2), [second]],
        [
          await api().listen(`${path}&after=${second.id}`, 2, {
            "last-event-id": first.id,
          }),
          [second],
        ],
      ] as const;
      for (const [answer, expected] of asked) {
        const frames = framesOf(answer.text).filter((_) => _.data);
        assert.deepStrictEqual(
          frames.map(({ data, ...frame }) => ({
            ...frame,
            data: JSON.parse(data ?? ""),
          })),
          expected.map((event) => ({
            id: event.id,
            event: event.type,
            data: event,
          })),
        );
      }
    });

    it("tells of a gap where the id is of another database, and goes on", async () => {
      const order = await placed(api(), "done");
      await feed(api(), order.query, 2);
      const { text } = await api().listen(
        `/api/events/stream/?${order.query}&after=another-1-0`,
        4,
      );
      const [start, gap, ...events] = framesOf(text);
      assert.deepStrictEqual(start, { retry: "1000" });
      assert.strictEqual(gap?.event, "gap");
      assert.isDefined(gap?.id);
      assert.include(JSON.parse(gap?.data ?? "").detail, "not there any more");
      assert.deepStrictEqual(
        events.map(({ event }) => event),
        ["order.placed", "order.completed"],
      );
    });

    it("is told all faults of a query at once", async () => {
      assertFaults(await api().get("/api/events/stream/?after=x&type=y"), {
        "query.after": /must be the id of an event/,
        "query.type.0": /must be one of/,
      });
      assertFaults(
        await api().get("/api/events/stream/", { "last-event-id": "1" }),
        { "headers.last-event-id": /must be the id of an event/ },
      );
    });
  });

  describe("the history of an order", () => {
    it("has each attempt, and what somebody did", async () => {
      const order = await placed(api(), "refuse-once");
      await api().until(order.answer, "FAILED");
      const path = `/api/orders/${order.order_id}/history/`;
      await api().post(`/api/orders/${order.order_id}/retry/`);
      const { json: done } = await api().until(order.answer, "COMPLETED");
      const { json, status } = await api().get(path);
      assert.strictEqual(status, 200);
      const [first, failed, retried, completed] = json;
      assert.lengthOf(json, 4);
      assert.deepStrictEqual(first, { type: "placed", time: done.created_at });
      assert.include(failed, {
        type: "attempt",
        attempt: 1,
        outcome: "failed",
        time: failed.began_at,
      });
      assert.match(failed.error, /422/);
      assert.isAtLeast(
        Date.parse(failed.ended_at),
        Date.parse(failed.began_at),
      );
      assert.isString(failed.instance);
      assert.deepInclude(retried, { type: "retried", actor: null });
      assert.deepStrictEqual(completed, {
        type: "attempt",
        time: done.processing_started_at,
        attempt: 2,
        instance: failed.instance,
        began_at: done.processing_started_at,
        ended_at: done.processing_completed_at,
        outcome: "completed",
        error: null,
      });
    });

    it("shows an attempt that is under way", async () => {
      const order = await placed(api(), "hold");
      await api().until(order.answer, "PROCESSING");
      const { json } = await api().get(
        `/api/orders/${order.order_id}/history/`,
      );
      assert.lengthOf(json, 2);
      assert.deepInclude(json[1], { outcome: null, ended_at: null });
    });

    it("is of no order that is not there", async () => {
      for (const order_id of ["nobody-placed-this", "%00", "x".repeat(900)]) {
        assertProblem(
          await api().get(`/api/orders/${order_id}/history/`),
          404,
          "urn:order-service:order-not-found",
        );
      }
    });
  });
};
