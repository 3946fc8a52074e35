/** Processing: how it is, pausing and resuming it; the history of metrics. */
import { assert, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { type Api, assertFaults } from "./api.ts";

const path = "/api/processing/";
const history = "/api/orders/metrics/history/";

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const secondsAgo = (seconds: number) =>
  new Date(Date.now() - seconds * 1000).toISOString();

interface Instance {
  readonly name: string;
  readonly version: string;
  readonly started_at: string;
  readonly state: string;
  readonly partitions: ReadonlyArray<number>;
  readonly in_work: number;
  readonly mailbox_depth: number;
}

export const processingSuite = (api: () => Api) =>
  describe("processing", () => {
    /** The only instance, once what it says of itself is so. */
    const untilInstance = (
      words: string,
      isSo: (instance: Instance) => boolean,
    ) =>
      until(words, async () => {
        const { json } = await api().get(path);
        const instances: ReadonlyArray<Instance> = json.instances;
        assert.isAtMost(instances.length, 1);
        return instances.find(isSo);
      });

    it("tells which instances there are, and which partitions each works on", async () => {
      const instance = await untilInstance(
        "all partitions are owned",
        ({ partitions }) => partitions.length === 32,
      );
      assert.deepStrictEqual(
        instance.partitions,
        Array.from({ length: 32 }, (_, n) => n),
      );
      assert.match(instance.started_at, isoTime);
      assert.match(instance.version, /^\d+\.\d+\.\d+$/);
      assert.isNotEmpty(instance.name);
      assert.strictEqual(instance.state, "RUNNING");
      const { json } = await api().get(path);
      assert.deepStrictEqual(
        [json.state, json.paused_at, json.paused_by],
        ["RUNNING", null, null],
      );
    });

    it("tells how the receiver is, never where", async () => {
      await untilInstance("it has reported", () => true);
      const { json, text } = await api().get(path);
      assert.strictEqual(json.receiver.circuit, "CLOSED");
      assert.match(json.receiver.since, isoTime);
      assert.notMatch(text, /http:|127\.0\.0\.1:\d+\/|whsec_/);
      if (json.receiver.last_error !== null) {
        assert.match(json.receiver.last_error, /^the receiver /);
      }
    });

    it("is paused: orders are taken in and wait, it stays ready; resumed, they are done", async () => {
      const paused = await api().post(`${path}pause/`);
      assert.strictEqual(paused.status, 200, paused.text);
      assert.strictEqual(paused.json.state, "PAUSED");
      assert.match(paused.json.paused_at, isoTime);
      assert.isNull(paused.json.paused_by);
      assert.deepInclude(paused.json.changes[0], {
        state: "PAUSED",
        at: paused.json.paused_at,
        actor: null,
      });

      const again = await api().post(`${path}pause`);
      assert.strictEqual(again.status, 200);
      assert.strictEqual(again.json.paused_at, paused.json.paused_at);
      assert.deepStrictEqual(again.json.changes, paused.json.changes);

      const placed = await api().place();
      assert.strictEqual(placed.status, 201);
      // Handed over, and not begun: else it would not be in the mailbox.
      await untilInstance(
        "it waits in the mailbox",
        ({ mailbox_depth, state }) => state === "PAUSED" && mailbox_depth >= 1,
      );
      const found = await api().get(placed.headers.location ?? "");
      assert.deepStrictEqual(
        [found.json.status, found.json.attempts],
        ["PENDING", 0],
      );
      assert.strictEqual((await api().get("/health/ready")).status, 200);
      assert.match(
        (await api().get("/metrics")).text,
        /^orders_processing_paused\{?[^\n]* 1$/m,
      );

      const resumed = await api().post(`${path}resume/`);
      assert.deepStrictEqual(
        [resumed.status, resumed.json.state, resumed.json.paused_at],
        [200, "RUNNING", null],
      );
      assert.strictEqual(resumed.json.changes[0].state, "RUNNING");
      await api().until(placed, "COMPLETED");
      const once = await api().post(`${path}resume/`);
      assert.deepStrictEqual(once.json.changes, resumed.json.changes);
    });

    it("has a history of metrics, from the first sample on", async () => {
      const placed = await api().place();
      await api().until(placed, "COMPLETED");
      const { total } = await until("a sample that counts it", async () => {
        const { json, status, text } = await api().get(history);
        assert.strictEqual(status, 200, text);
        assert.strictEqual(json.step_seconds, 10);
        const last = json.samples.at(-1);
        const total = last?.status_counts.COMPLETED ?? 0;
        return total >= 1 && last.completed_per_second > 0 && { total, last };
      });
      assert.isAtLeast(total, 1);
      const { json } = await api().get(`${history}?since=${secondsAgo(3600)}`);
      const last = json.samples.at(-1);
      assert.match(last.time, isoTime);
      assert.deepStrictEqual(Object.keys(last.status_counts).sort(), [
        "CANCELLED",
        "COMPLETED",
        "FAILED",
        "PENDING",
        "PROCESSING",
      ]);
      const [first] = json.samples;
      assert.isNull(first.placed_per_second);
      const { json: now } = await api().get(path);
      assert.isAbove(now.rates.completed_per_second, 0);
    });

    it("says in the answer which step is in force", async () => {
      const stepOf = async (since: string, step: string) => {
        const { json } = await api().get(
          `${history}?since=${secondsAgo(Number(since))}&step=${step}`,
        );
        return json.step_seconds;
      };
      assert.strictEqual(await stepOf("3600", "1"), 10);
      assert.strictEqual(await stepOf("3600", "60"), 60);
      assert.strictEqual(await stepOf("3600", "61"), 70);
      assert.strictEqual(await stepOf(String(6 * 86_400), "10"), 600);
    });

    it("refuses a history that is not kept, and faults in its query", async () => {
      assertFaults(
        await api().get(`${history}?since=${secondsAgo(8 * 86_400)}`),
        {
          "query.since": /must be at most 7 days ago/,
        },
      );
      assertFaults(await api().get(`${history}?since=yesterday&step=0`), {
        "query.since": /must be a time such as/,
        "query.step": /must be a whole number from 1 to 86400/,
      });
    });
  });
