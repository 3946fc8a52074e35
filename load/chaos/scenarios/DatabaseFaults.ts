/** Harm done to the database, and by others who use it. */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import { type Client, connectionsMax } from "../Postgres.ts";
import { ordersASecond, type Scenario, throughputShare } from "../Scenario.ts";

/** Crashed and recovered. */
export const postgresRestart: Scenario = {
  name: "postgres-restart",
  about: "immediate stop and start of PostgreSQL every 5-10 s",
  rate: ordersASecond,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const times = stage.amount(3, 1);
    for (let time = 0; time < times; time += 1) {
      await stage.postgres.crash();
      stage.fault("PostgreSQL crashed");
      await stage.pause(0.2, stage.amount(2, 0.4));
      await stage.postgres.start();
      stage.faultOver();
      if (stage.isShort) await stage.pause(1, 1.5);
      else await stage.pause(5, 10);
    }
  },
};

const serviceBackends = `FROM pg_stat_activity
  WHERE application_name = 'order-service' AND datname = current_database()`;

/** The sessions of the service end, one after the other. */
export const backendKill: Scenario = {
  name: "backend-kill",
  about: "pg_terminate_backend 1-5 times a second",
  rate: ordersASecond,
  recoveryMaxSeconds: 5,
  run: (stage) =>
    stage.postgres.ask(stage.database, async (client) => {
      const until = Date.now() + stage.amount(18_000, 1500);
      while (Date.now() < until) {
        const { rows } = await client.query(
          `SELECT pid ${serviceBackends} ORDER BY pid`,
        );
        const one = rows[Math.floor(stage.random.next() * rows.length)];
        if (one !== undefined) {
          await client.query("SELECT pg_terminate_backend($1)", [one.pid]);
          stage.fault("a session ended");
          stage.faultOver();
        }
        await stage.pause(0.2, 1);
      }
    }),
};

/** Strangers take every connection there is, also those of the service. */
export const poolExhaustion: Scenario = {
  name: "pool-exhaustion",
  about: "strangers take every connection of PostgreSQL",
  rate: ordersASecond,
  recoveryMaxSeconds: 5,
  run: (stage) =>
    stage.postgres.ask(stage.database, async (client) => {
      const rounds = stage.amount(3, 1);
      for (let round = 0; round < rounds; round += 1) {
        const strangers: Array<Client> = [];
        const over =
          Date.now() + stage.random.between(3, 5) * 1000 * stage.amount(1, 0.3);
        while (Date.now() < over) {
          await client.query(
            `SELECT pg_terminate_backend(pid) ${serviceBackends}`,
          );
          while (strangers.length < connectionsMax) {
            const stranger = await stage.postgres
              .connect("postgres")
              .catch(() => undefined);
            if (stranger === undefined) break;
            strangers.push(stranger);
          }
          await wait(20);
        }
        stage.fault(`${strangers.length} strangers were connected`);
        await Promise.all(strangers.map((stranger) => stranger.end()));
        await until("there is room again", () =>
          stage.postgres.ask("postgres", async () => true),
        );
        stage.faultOver();
        await wait(stage.amount(7000, 700));
      }
    }),
};

/** Old row versions cannot be cleaned up while it is open. */
export const heldSnapshot: Scenario = {
  name: "held-snapshot",
  about: "a transaction held open all the while",
  rate: ordersASecond,
  recoveryMaxSeconds: 5,
  run: (stage) =>
    stage.postgres.ask(stage.database, async (client) => {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await client.query("SELECT count(*) FROM orders");
      stage.fault("a transaction is held open");
      await wait(stage.amount(20_000, 1500));
      await client.query("COMMIT");
      stage.faultOver();
    }),
  *demands({ isShort, throughput: { before = 0, during = 0 } }) {
    if (isShort) return;
    yield {
      demand: "it costs no throughput",
      isMet: during >= throughputShare * before,
      found: `${before.toFixed(0)}/s before, ${during.toFixed(0)}/s during`,
    };
  },
};
