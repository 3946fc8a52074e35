/**
 * The service behind a real HAProxy: with HAProxy's defaults, and with the
 * configuration in `docker-compose.yml`. Skipped where HAProxy is not installed.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it, layer } from "@effect/vitest";
import { Effect } from "effect";
import { parse } from "yaml";
import {
  type ServiceProcess,
  startService,
  until,
} from "./support/serviceProcess.ts";
import { layerSql, TestDatabase } from "./support/testDatabase.ts";

const hasHaproxy = spawnSync("haproxy", ["-v"]).status === 0;

const compose = parse(
  readFileSync(new URL("../docker-compose.yml", import.meta.url), "utf8"),
) as {
  readonly services: {
    readonly proxy: { readonly labels: { readonly config: string } };
  };
  readonly configs: { readonly proxy: { readonly content: string } };
};

const serversOf = (instances: ReadonlyArray<ServiceProcess>, check = "") =>
  instances
    .map(({ url }, index) => `  server s${index} ${new URL(url).host}${check}`)
    .join("\n");

/** What HAProxy needs, and its defaults for everything else. */
const plainConfig = (
  socket: string,
  instances: ReadonlyArray<ServiceProcess>,
) => `defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
listen orders
  bind unix@${socket}
  option httpchk GET /health/ready
${serversOf(instances, " check")}
`;

/** The configuration of Compose, with these instances instead of Docker's DNS. */
const composeConfig = (
  socket: string,
  instances: ReadonlyArray<ServiceProcess>,
) =>
  `${compose.configs.proxy.content
    .replaceAll("$$", "$")
    .replace(/resolvers docker\n(?:.+\n)+/, "")
    .replace("bind :8000", `bind unix@${socket}`)
    .replace(/ *server-template .*/, serversOf(instances))}\n`;

interface Answer {
  readonly status: number;
  readonly seconds: number;
}

/** Places an order through the proxy. */
const place = (socketPath: string, order_id: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({
      order_id,
      user_id: "U",
      item_ids: ["ITEM001"],
      total_amount: 19.9,
    });
    const start = performance.now();
    request(
      {
        socketPath,
        method: "POST",
        path: "/api/orders/",
        headers: {
          host: "localhost",
          "content-type": "application/json",
          "content-length": body.length,
        },
      },
      (answer) => {
        answer.resume();
        answer.on("end", () =>
          resolve({
            status: answer.statusCode ?? 0,
            seconds: (performance.now() - start) / 1000,
          }),
        );
      },
    )
      .on("error", reject)
      .end(body);
  });

const startProxy = async (
  config: (socket: string) => string,
): Promise<{ readonly socket: string; readonly child: ChildProcess }> => {
  const directory = mkdtempSync(join(tmpdir(), "proxy-"));
  const socket = join(directory, "socket");
  const file = join(directory, "haproxy.cfg");
  writeFileSync(file, config(socket));
  const child = spawn("haproxy", ["-db", "-f", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  await until(`HAProxy listening ${output}`, async () => existsSync(socket));
  return { socket, child };
};

const acquireService = Effect.gen(function* () {
  const { url } = yield* TestDatabase;
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      startService({ DATABASE_URL: url, PROCESSING_TIME: "0 millis" }),
    ),
    ({ child, stop }) =>
      Effect.promise(async () => {
        if (child.exitCode === null) await stop("SIGKILL");
      }),
  );
});

const acquireProxy = (config: (socket: string) => string) =>
  Effect.acquireRelease(
    Effect.promise(() => startProxy(config)),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL")),
  );

/** Places orders one after another until `isOver`. */
const placeUntil = async (
  socket: string,
  prefix: string,
  isOver: () => boolean,
): Promise<ReadonlyArray<Answer>> => {
  const answers: Array<Answer> = [];
  while (!isOver()) {
    answers.push(await place(socket, `${prefix}-${answers.length}`));
  }
  return answers;
};

/** True from the call after the first `count` on. */
const times = (count: number) => {
  let calls = 0;
  return () => {
    calls += 1;
    return calls > count;
  };
};

const refusedOf = (answers: ReadonlyArray<Answer>) =>
  answers.filter(({ status }) => status !== 201);

describe("docker-compose.yml", () => {
  it("names the content of the proxy's configuration, so that `up` restarts the proxy with a new one", () => {
    const digest = createHash("sha256")
      .update(compose.configs.proxy.content)
      .digest("hex")
      .slice(0, 12);
    assert.strictEqual(compose.services.proxy.labels.config, digest);
  });
});

describe.skipIf(!hasHaproxy)("behind HAProxy", () => {
  layer(layerSql, { timeout: "60 seconds" })((it) => {
    it.effect("with its defaults no caller sees that an instance stops", () =>
      Effect.gen(function* () {
        const instances = yield* Effect.all([acquireService, acquireService], {
          concurrency: 2,
        });
        const { socket } = yield* acquireProxy((_) =>
          plainConfig(_, instances),
        );
        const [stopping] = instances;
        let exit: number | string | undefined;
        const answers = yield* Effect.promise(async () => {
          // An instance takes a load balancer for one after two of its checks.
          await until(
            "a second check",
            async () => (await fetch(`${stopping.url}/health/ready`)).ok,
          );
          void stopping.stop().then((code) => {
            exit = code;
          });
          return [
            ...(await placeUntil(socket, "stop", () => exit !== undefined)),
            ...(await placeUntil(socket, "after", times(20))),
          ];
        });
        assert.strictEqual(exit, 0);
        assert.isAbove(answers.length, 20);
        assert.deepStrictEqual(refusedOf(answers), []);
      }).pipe(Effect.scoped),
    );

    it.effect(
      "with Compose's configuration a frozen instance costs a caller 3 s",
      () =>
        Effect.gen(function* () {
          const instances = yield* Effect.all(
            [acquireService, acquireService],
            { concurrency: 2 },
          );
          const { socket } = yield* acquireProxy((_) =>
            composeConfig(_, instances),
          );
          const [frozen] = instances;
          const answers = yield* Effect.promise(async () => {
            await until(
              "an answer through the proxy",
              async () => (await place(socket, "first")).status < 300,
            );
            frozen.child.kill("SIGSTOP");
            return Promise.all(
              Array.from({ length: 20 }, (_, index) =>
                place(socket, `frozen-${index}`),
              ),
            );
          });
          frozen.child.kill("SIGCONT");
          const longest = Math.max(...answers.map(({ seconds }) => seconds));
          assert.deepStrictEqual(refusedOf(answers), []);
          // Some went to the frozen instance first.
          assert.isAbove(longest, 2.9);
          assert.isBelow(longest, 8);
        }).pipe(Effect.scoped),
    );
  });
});
