/** The client as others get it: packed, installed, compiled against, and run. */
import { execFile } from "node:child_process";
import {
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
const readJson = async (path: string) =>
  JSON.parse(await readFile(path, "utf8"));

/** The one TypeScript example in the client's README. */
const readmeExample = async () => {
  const readme = await readFile(join(root, "src/client/README.md"), "utf8");
  const [, example] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  assert.isDefined(example);
  return example as string;
};

/** What the types promise; compiled, not run. */
const typed = `
import { Effect, Schema, Stream } from "effect";
import { Api } from "order-service/api";
import { PlaceOrder } from "order-service/api/PlaceOrder";
import { OrderClient } from "order-service/client";
import type { Order, OrderId } from "order-service/domain/Order";
import { OrderNotInStatus } from "order-service/domain/OrderRefusals";

export const contract: typeof Api = Api;
export const read = Schema.decodeUnknownSync(PlaceOrder);

export const ids: Effect.Effect<Array<OrderId>, unknown, OrderClient> =
  Effect.flatMap(OrderClient, (client) =>
    client.allOrders({ status: ["FAILED"] }).pipe(
      Stream.map((order: Order) => order.order_id),
      Stream.runCollect,
    ),
  );

export const heard: Effect.Effect<Array<string>, unknown, OrderClient> =
  Effect.flatMap(OrderClient, (client) =>
    client.eventStream({ after: "latest", type: ["order.completed"] }).pipe(
      Stream.map((event) => event.data.order_id),
      Stream.take(1),
      Stream.runCollect,
      Effect.catchTag("EventGap", (gap) => Effect.succeed([gap.after ?? ""])),
    ),
  );

export const unheard = Effect.flatMap(OrderClient, (client) =>
  // @ts-expect-error there is no such event
  Stream.runDrain(client.eventStream({ type: ["order.shipped"] })),
);

export const cancelled: Effect.Effect<boolean, unknown, OrderClient> =
  Effect.flatMap(OrderClient, (client) =>
    client.orders.cancel({ params: { order_id: "1" } }).pipe(
      Effect.map((order) => order.status === "CANCELLED"),
      Effect.catchTag("OrderNotInStatus", (refusal: OrderNotInStatus) =>
        Effect.succeed(refusal.order_status === "CANCELLED"),
      ),
    ),
  );

export const wrong = Effect.flatMap(OrderClient, (client) =>
  // @ts-expect-error an order has items
  client.place({ order_id: 1, user_id: 1, total_amount: 1 }),
);

export const impossible = Effect.flatMap(OrderClient, (client) =>
  client.orders.find({ params: { order_id: "1" }, headers: {} }).pipe(
    // @ts-expect-error finding an order cannot conflict
    Effect.catchTag("OrderConflict", () => Effect.void),
  ),
);
`;

describe("the packed client", () => {
  let service: ServiceProcess;
  let directory: string;
  let installed: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "orders-client-"));
    const [started] = await Promise.all([
      startService({ DATA_DIR: join(directory, "data") }),
      install(),
    ]);
    service = started;
  }, 120_000);

  afterAll(async () => {
    await service?.stop("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  });

  /** Packs the client and installs it into an otherwise empty project. */
  const install = async () => {
    await run(
      "npm",
      ["run", "pack:client", "--", "--pack-destination", directory],
      { cwd: root },
    );
    const tarball = (await readdir(directory)).find((name) =>
      name.endsWith(".tgz"),
    );
    assert.isDefined(tarball);
    await writeFile(
      join(directory, "package.json"),
      JSON.stringify({ private: true, type: "module" }),
    );
    await run(
      "npm",
      [
        "install",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        `./${tarball}`,
      ],
      { cwd: directory },
    );
    installed = join(directory, "node_modules/order-service");
  };

  it("brings nothing but effect with it", async () => {
    const packages = await readdir(join(directory, "node_modules"));
    assert.sameMembers(
      packages.filter((name) => !name.startsWith(".")),
      ["effect", "order-service"],
    );
  });

  it("is of the version of the service, and wants the effect that it was built with", async () => {
    const service = await readJson(join(root, "package.json"));
    const client = await readJson(join(installed, "package.json"));
    assert.strictEqual(client.version, service.version);
    assert.strictEqual(client.license, service.license);
    assert.deepStrictEqual(client.peerDependencies, {
      effect: `~${service.dependencies.effect}`,
    });
  });

  it("holds the contract, the client, the command and their words, and no more", async () => {
    const files = (await readdir(installed, { recursive: true })).filter(
      (name) => /\.|LICENSE/.test(name),
    );
    for (const needed of [
      "LICENSE",
      "README.md",
      join("api", "Api.js"),
      join("api", "Api.d.ts"),
      join("client", "OrderClient.js"),
      join("client", "OrderClient.d.ts"),
      join("domain", "Order.d.ts"),
      "ordersCommand.js",
      join("cli", "Orders.js"),
      join("platform", "NodeCommand.js"),
      join("platform", "NodeMachine.js"),
    ]) {
      assert.include(files, needed);
    }
    const expected =
      /^(LICENSE|README\.md|CHANGELOG\.md|package\.json|(ordersCommand|platform[\\/]Node(Command|Machine)|(api|client|cli|domain)[\\/]\w+)(\.d\.ts|\.js))$/;
    assert.isEmpty(files.filter((name) => !expected.test(name)));
  });

  it("imports only effect, and its command Node's own modules", async () => {
    const files = await readdir(installed, { recursive: true });
    const imports = new Set<string>();
    const ofNode = new Set<string>();
    for (const name of files.filter((name) => name.endsWith(".js"))) {
      const source = await readFile(join(installed, name), "utf8");
      for (const [, from] of source.matchAll(/\bfrom "([^"]+)"/g)) {
        if (from === undefined) continue;
        if (from.startsWith("node:")) ofNode.add(name);
        else imports.add(from);
      }
    }
    assert.sameMembers(
      [...ofNode],
      ["ordersCommand.js", join("platform", "NodeMachine.js")],
    );
    assert.include([...imports], "effect/http-api");
    assert.isEmpty(
      [...imports].filter(
        (from) => !/^(\.{1,2}\/.*\.js|effect(\/.+)?)$/.test(from),
      ),
    );
  });

  it("places an order as its README says, compiled in a strict project", async () => {
    const example = await readmeExample();
    assert.include(example, '"http://localhost:8000"');
    await writeFile(
      join(directory, "example.ts"),
      example.replace('"http://localhost:8000"', JSON.stringify(service.url)),
    );
    await writeFile(join(directory, "typed.ts"), typed);
    await writeFile(
      join(directory, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "ES2024",
          module: "NodeNext",
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          types: [],
        },
        files: ["example.ts", "typed.ts"],
      }),
    );
    const compiled = await run(join(root, "node_modules/.bin/tsc"), [], {
      cwd: directory,
    }).catch((error) => error);
    assert.isEmpty(compiled.stdout);

    const { stdout } = await run(process.execPath, ["example.js"], {
      cwd: directory,
    });
    assert.strictEqual(stdout, "ORD001 costs 99.99\n");
    const placed = await fetch(`${service.url}/api/orders/ORD001/`);
    assert.strictEqual(placed.status, 200);
  }, 60_000);

  it("has the command, which runs with nothing but effect", async () => {
    const command = join(directory, "node_modules/.bin/orders");
    const env = { PATH: process.env.PATH ?? "", ORDERS_URL: service.url };
    const orders = async (...args: ReadonlyArray<string>) =>
      (await run(process.execPath, [command, ...args], { env })).stdout;
    const placed = await orders(
      ...["place", "--id", "BIN1", "--user", "U", "--item", "I"],
      ...["--amount", "9.90"],
    );
    assert.strictEqual(JSON.parse(placed).total_amount, 9.9);
    assert.match(await orders("--version"), /^orders \d+\.\d+\.\d+\n$/);
    assert.include(await orders("import", "--help"), "--rejects");
    // As a shell finds it: by its first line, and its right to be run.
    assert.match(await readFile(command, "utf8"), /^#!\/usr\/bin\/env node\n/);
    assert.notStrictEqual((await stat(command)).mode & 0o111, 0);
  }, 30_000);
});
