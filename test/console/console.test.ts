import type { Browser } from "playwright-core";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { missing, startBrowser } from "./browser.ts";

if (missing !== undefined) console.warn(missing);

describe.skipIf(missing !== undefined)("x", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());
  it("runs", async () => {
    const p = await browser.newPage();
    await p.setContent("<h1>Hi</h1><button>Go</button>");
    assert.strictEqual(await p.getByRole("button").innerText(), "Go");
    await p.screenshot({ path: "/tmp/conserve/a.png" });
  });
});
