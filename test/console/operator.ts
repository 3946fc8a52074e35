/**
 * What an operator works with: the service as a process with PostgreSQL, access
 * by keys, a receiver that can be told to refuse, and a browser that is watched:
 * whatever it says of an error, of the policy, or asks of another host, is kept.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ManagedRuntime } from "effect";
import pg from "pg";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { assert } from "vitest";
import { freePort } from "../support/postgresServer.ts";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

export const adminKey = "an-admin-key-of-more-than-32-characters";

/** A receiver that answers as it is told for a user, else 200. */
const startReceiver = async () => {
  const refused = new Map<string, number>();
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const { user_id } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      response.writeHead(refused.get(user_id) ?? 200).end();
    });
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve()),
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    /** Answers this for the orders of a user; 200 again without a status. */
    answer: (user_id: string, status?: number) =>
      status === undefined
        ? refused.delete(user_id)
        : refused.set(user_id, status),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

interface Order {
  readonly order_id: string;
  readonly user_id: string;
  readonly item_ids?: ReadonlyArray<unknown>;
}

export type Settings = Readonly<Record<string, string>>;

/** The service on an empty database, and all that is around it. */
export const startWorld = async (settings: Settings = {}) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const { url: databaseUrl } = await database.runPromise(TestDatabase);
  const receiver = await startReceiver();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const start = () =>
    startService({
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      ACCESS: "keys",
      ADMIN_KEY: adminKey,
      FULFILLMENT_URL: receiver.url,
      RUNNER_HOST: "the-instance",
      ...settings,
    });
  let service: ServiceProcess = await start();

  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminKey}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.isBelow(response.status, 300, `${method} ${path}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };

  const place = async (orders: ReadonlyArray<Order>) => {
    const left = orders.values();
    const placeRest = async () => {
      for (const order of left) {
        await ask("POST", "/api/orders/", {
          item_ids: ["ITEM001"],
          total_amount: 12.5,
          ...order,
        });
      }
    };
    await Promise.all(Array.from({ length: 10 }, placeRest));
  };

  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();

  return {
    url,
    receiver,
    ask,
    place,
    /** Straight to the database, for what no caller can bring about. */
    query: (text: string, values: ReadonlyArray<unknown> = []) =>
      client.query(text, [...values]),
    key: async (name: string, scopes: ReadonlyArray<string>) => {
      const { key } = await ask("POST", "/api/keys/", { name, scopes });
      return key as string;
    },
    output: () => service.output(),
    kill: () => service.stop("SIGKILL"),
    start: async () => {
      service = await start();
    },
    stop: async () => {
      await service.stop("SIGKILL");
      await client.end();
      receiver.stop();
      await database.dispose();
    },
  };
};

export type World = Awaited<ReturnType<typeof startWorld>>;

/** `count` orders of a user, `prefix-1` and so on. */
export const ordersOf = (
  user_id: string,
  prefix: string,
  count: number,
): ReadonlyArray<Order> =>
  Array.from({ length: count }, (_, index) => ({
    order_id: `${prefix}-${index + 1}`,
    user_id,
  }));

/** A browser says in its console what it was answered; that is no fault. */
const isAnswer = (text: string) => text.startsWith("Failed to load resource:");

/** A browser of one reader, with cookies of its own. */
export const openBrowser = async (
  browser: Browser,
  { url }: World,
  options: BrowserContextOptions = {},
  scripts: ReadonlyArray<string> = [],
) => {
  const context = await browser.newContext({
    baseURL: url,
    // Not those of the machine.
    locale: "en-GB",
    timezoneId: "Asia/Kolkata",
    ...options,
  });
  context.setDefaultTimeout(20_000);
  const faults: Array<string> = [];
  context.on("weberror", (event) => faults.push(String(event.error().stack)));
  context.on("console", (message) => {
    const isBad = ["error", "warning"].includes(message.type());
    if (isBad && !isAnswer(message.text())) faults.push(message.text());
  });
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== url) {
      faults.push(`asks ${request.url()}`);
    }
    if (request.url().includes("osk_") || request.url().includes(adminKey)) {
      faults.push(`tells the key in ${request.url()}`);
    }
  });
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`the policy was violated: ${event.violatedDirective}`),
    );
  });
  for (const content of scripts) await context.addInitScript({ content });
  const page = await context.newPage();
  return {
    context,
    page,
    /** Whatever went wrong in the browser so far. */
    faults,
    close: async () => {
      await context.close();
      assert.deepStrictEqual(faults, []);
    },
  };
};

export type Reader = Awaited<ReturnType<typeof openBrowser>>;

export const signIn = async (page: Page, key: string) => {
  await page.goto("/");
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await heading(page, "Overview").waitFor();
};

export const heading = (page: Page, name: string | RegExp) =>
  page.getByRole("heading", { level: 1, name });

/** Follows a link of the navigation. */
export const goTo = async (page: Page, name: string) => {
  await page
    .getByRole("navigation", { name: "Pages", exact: true })
    .getByRole("link", { name, exact: true })
    .click();
  await heading(page, name).waitFor();
};

/** How many orders have a status, as the overview says. */
export const countOn = async (page: Page, status: string): Promise<number> => {
  const tile = page
    .getByRole("region", { name: "Orders by status" })
    .getByRole("link", { name: status });
  return Number((await tile.innerText()).replace(/\D/g, ""));
};
