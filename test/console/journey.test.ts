/**
 * What an operator does, from signing in to the day the service is lost, in a
 * real browser against a real service: one reader, one page, never reloaded but
 * where it says so.
 */
import type { Browser } from "playwright-core";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { missing, startBrowser } from "./browser.ts";
import {
  countOn,
  goTo,
  heading,
  openBrowser,
  ordersOf,
  type Reader,
  startWorld,
  type World,
} from "./operator.ts";

if (missing !== undefined) console.warn(missing);

/** What the service says of a receiver that answered so. */
const refusal = (status: number) => new RegExp(`answered ${status}`);

describe.skipIf(missing !== undefined)("an operator, in a browser", () => {
  let browser: Browser;
  let world: World;
  let reader: Reader;
  let key: string;

  beforeAll(async () => {
    [world, browser] = await Promise.all([startWorld(), startBrowser()]);
    world.receiver.answer("no-stock", 422);
    world.receiver.answer("bad-address", 400);
    key = await world.key("olga", ["orders:read", "orders:operate"]);
    reader = await openBrowser(browser, world);
  });

  afterAll(async () => {
    await browser?.close();
    await world?.stop();
  });

  const page = () => reader.page;
  const figure = (name: string) =>
    page()
      .getByRole("region", { name: "Flow" })
      .locator("div", { hasText: name })
      .locator("dd");

  it("is told what is wrong with a bad key, and signs in with a good one", async () => {
    await page().goto("/");
    const field = page().getByLabel("Key", { exact: true });
    const button = page().getByRole("button", { name: "Sign in" });
    await field.fill(`${key}x`);
    await button.click();
    const said = await page().getByRole("alert").innerText();
    assert.match(said, /no key of this service/);
    assert.deepStrictEqual(await reader.context.cookies(), []);
    await field.fill(key);
    await button.click();
    await heading(page(), "Overview").waitFor();
    assert.notInclude(page().url(), key);
    const [cookie] = await reader.context.cookies();
    assert.include(cookie, { httpOnly: true, sameSite: "Strict" });
    assert.strictEqual(await page().evaluate(() => document.cookie), "");
    await page().getByText("olga").waitFor();
  });

  it("stays signed in when the page is loaded again", async () => {
    await page().reload();
    await heading(page(), "Overview").waitFor();
    await page().evaluate(() => {
      document.documentElement.dataset.loaded = "once";
    });
  });

  it("is shown how to place a first order, while there is none", async () => {
    const command = await page().locator("pre").innerText();
    assert.include(command, `curl -i ${world.url}/api/orders/`);
    await page().getByText("Nothing is wrong").waitFor();
  });

  it("sees a flood arrive", async () => {
    await world.place([
      ...ordersOf("ursula", "flood", 250),
      ...ordersOf("no-stock", "short", 40),
      ...ordersOf("bad-address", "lost", 10),
    ]);
    await until("all are counted", async () => {
      const completed = await countOn(page(), "COMPLETED");
      return completed === 250 && (await countOn(page(), "FAILED")) === 50;
    });
    await until("their flow is shown", async () => {
      const placed = Number.parseFloat(await figure("Placed").innerText());
      const completed = Number.parseFloat(
        await figure("Completed").innerText(),
      );
      return placed > 0 && completed > 0;
    });
    await page()
      .getByRole("region", { name: "What is wrong" })
      .getByText(/50 orders became dead letters in the last hour/)
      .waitFor({ timeout: 40_000 });
    assert.strictEqual(
      await page().evaluate(() => document.documentElement.dataset.loaded),
      "once",
    );
  });

  it("finds an order by its id, and reads why it failed", async () => {
    await goTo(page(), "Orders");
    await page().getByLabel("Order id").fill("short-7");
    await page().getByRole("button", { name: "Find" }).click();
    await heading(page(), "Order short-7").waitFor();
    assert.include(page().url(), "short-7");
    await page()
      .getByText(/It is a dead letter: .*answered 422/)
      .waitFor();
    const history = page()
      .getByRole("region", { name: "History" })
      .or(page().locator("section", { hasText: "History" }));
    const entries = history.getByRole("listitem");
    assert.match(await entries.first().innerText(), /Placed/);
    const last = await entries.last().innerText();
    assert.match(last, /Attempt 1.*failed after .*\d m?s.*on the-instance/s);
    assert.match(last, refusal(422));
    await page().getByRole("button", { name: "Retry", exact: true }).waitFor();
  });

  it("is told of an id that is none", async () => {
    await goTo(page(), "Orders");
    await page().getByLabel("Order id").fill("short-7000");
    await page().getByRole("button", { name: "Find" }).click();
    await heading(page(), "No such order").waitFor();
  });

  it("retries all dead letters of one error, and knows how many before", async () => {
    await goTo(page(), "Dead letters");
    const groups = page().getByRole("table", { name: "Dead letters by error" });
    const group = (status: number) =>
      groups.getByRole("row", { name: refusal(status) });
    await group(422).waitFor();
    assert.match(await group(422).innerText(), /\b40\b/);
    assert.match(await group(400).innerText(), /\b10\b/);
    world.receiver.answer("no-stock");
    await group(422).getByRole("button", { name: /Retry/ }).click();
    const dialog = page().getByRole("dialog");
    const retry = dialog.getByRole("button", {
      name: /^Retry 40 orders: .*422/,
    });
    await retry.click();
    await dialog.getByText("40 orders are PENDING again.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await group(422).waitFor({ state: "detached" });
    assert.match(await group(400).innerText(), /\b10\b/);
    await goTo(page(), "Overview");
    await until("they are completed", async () => {
      const completed = await countOn(page(), "COMPLETED");
      return completed === 290 && (await countOn(page(), "FAILED")) === 10;
    });
    const history = await world.ask("GET", "/api/orders/short-7/history/");
    assert.deepInclude(
      history.find((entry: { type: string }) => entry.type === "retried"),
      { actor: "olga" },
    );
  });

  it("pauses, sees the backlog grow, and resumes", async () => {
    await goTo(page(), "Processing");
    await page().getByRole("button", { name: "Pause", exact: true }).click();
    await page()
      .getByText(/Paused .* by olga/)
      .waitFor();
    const instances = page().getByRole("table", { name: "Instances" });
    await instances
      .getByRole("row", { name: /the-instance.*PAUSED/ })
      .waitFor();
    await world.place(ordersOf("ursula", "queued", 30));
    const pending = page()
      .locator("dl div", { hasText: "PENDING" })
      .locator("dd")
      .first();
    await until("30 wait", async () => (await pending.innerText()) === "30");
    await goTo(page(), "Overview");
    await page()
      .getByText(/Processing is PAUSED.* by olga/)
      .waitFor();
    assert.strictEqual(await countOn(page(), "PENDING"), 30);
    await goTo(page(), "Processing");
    await page().getByRole("button", { name: "Resume", exact: true }).click();
    await instances
      .getByRole("row", { name: /the-instance.*RUNNING/ })
      .waitFor();
    await until("none waits", async () => (await pending.innerText()) === "0");
    await goTo(page(), "Overview");
    await until("they are completed", async () => {
      return (await countOn(page(), "COMPLETED")) === 320;
    });
  });

  it("is told that the service is lost, and that it is back", async () => {
    await world.kill();
    await page().getByText("Connection lost").waitFor();
    // What was known stands there still.
    assert.strictEqual(await countOn(page(), "COMPLETED"), 320);
    await world.start();
    await page().getByText("Connected again").waitFor();
    await world.place(ordersOf("ursula", "after", 5));
    await until("it shows what is new", async () => {
      return (await countOn(page(), "COMPLETED")) === 325;
    });
    await page().getByText("Connection lost").waitFor({ state: "detached" });
    assert.strictEqual(
      await page().evaluate(() => document.documentElement.dataset.loaded),
      "once",
    );
  });

  it("signs out, and nobody is known by what is left", async () => {
    await page().getByRole("button", { name: "Sign out" }).click();
    await heading(page(), "Sign in").waitFor();
    assert.deepStrictEqual(await reader.context.cookies(), []);
    await page().goBack();
    await heading(page(), "Sign in").waitFor();
    const answer = await page().request.get("/api/orders/");
    assert.strictEqual(answer.status(), 401);
    const stored = await page().evaluate(() =>
      JSON.stringify([
        { ...localStorage },
        { ...sessionStorage },
        history.state,
      ]),
    );
    assert.notInclude(stored, "osk_");
  });

  it("has met no fault of the page, and nobody read the key in the log", async () => {
    await reader.close();
    assert.notInclude(world.output(), key);
  });
});
