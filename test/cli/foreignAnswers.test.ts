/**
 * The command where something on the way answers in the service's place: a
 * proxy, a sign-in page, another service. Real servers on this machine.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { runHere } from "./command.ts";
import { heldService } from "./heldService.ts";

const closing: Array<() => void> = [];
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "orders-foreign-"));
});
afterAll(async () => {
  for (const close of closing) close();
  await rm(directory, { recursive: true, force: true });
});

/** A server of Node's own; gives its address. */
const serve = async (answer: RequestListener) => {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

/** Always the same answer, once the request was read. */
const answering = (
  status: number,
  headers: Readonly<Record<string, string>>,
  body = "",
) =>
  serve((incoming, response) => {
    incoming.resume().once("end", () => {
      response.writeHead(status, headers).end(body);
    });
  });

const html = { "content-type": "text/html; charset=utf-8", server: "nginx" };
const page = (title: string) =>
  `<!doctype html><html><head><title>\n ${title}</title></head></html>`;

/** Each command that asks the service, but for those that listen for ever. */
const uses: ReadonlyArray<ReadonlyArray<string>> = [
  ["place", "--id", "1", "--user", "1", "--item", "1", "--amount", "1"],
  ["get", "ORD1"],
  ["get", "ORD1", "--history"],
  ["list"],
  ["list", "--all"],
  ["watch", "ORD1"],
  ["watch"],
  ["cancel", "ORD1"],
  ["cancel", "--all", "--yes"],
  ["retry", "--all", "--dry-run"],
  ["import", "-"],
  ["export"],
  ["processing", "show"],
  ["processing", "pause"],
  ["metrics"],
  ["events"],
  ["events", "--follow"],
  ["keys", "list"],
  ["keys", "create", "one", "--scope", "admin"],
  ["keys", "revoke", "one"],
];

const input =
  '{"order_id":"S1","user_id":"U","item_ids":["I"],"total_amount":1}';

/** What a command says of an answer, without the import's own line. */
const saidOf = async (url: string, ...args: ReadonlyArray<string>) => {
  const ended = await runHere({ args: [...args, `--url=${url}`], input });
  assert.strictEqual(ended.code, 1, ended.stderr);
  const said = ended.stderr.replace(/^Stopped after .*\n/, "");
  assert.isAtMost(said.trimEnd().split("\n").length, 2, said);
  assert.notMatch(said, /Expected|Schema|Decode|StatusCode|undefined/);
  return said;
};

describe("what something else has answered is told, with status and address, by", () => {
  it.each(uses)("%s %s: a redirect", async (...args) => {
    const url = await serve((incoming, response) => {
      incoming.resume().once("end", () => {
        const location = `https://orders.example.com${incoming.url}`;
        response.writeHead(301, { ...html, location }).end(page("Moved"));
      });
    });
    const said = await saidOf(url, ...args);
    assert.include(said, `${url}/`);
    assert.include(said, "301");
    assert.include(said, "nginx");
    assert.include(said, "--url https://orders.example.com ");
  });

  it.each(uses)("%s %s: a sign-in page", async (...args) => {
    const url = await answering(200, html, page("Sign in to Acme"));
    const said = await saidOf(url, ...args);
    assert.include(said, `${url}/`);
    assert.include(said, "200");
    assert.include(said, "ORDERS_URL");
    // Of what is read as it comes, the page is not waited for.
    if (!/export|watch|events/.test(args.join(" "))) {
      assert.include(said, '"Sign in to Acme"');
    }
  });

  it.each(uses)("%s %s: 407", async (...args) => {
    const url = await answering(407, html, page("Authenticate"));
    const said = await saidOf(url, ...args);
    assert.include(said, "407");
    assert.include(said, "Ask whoever runs it");
  });

  const place = uses[0] ?? [];
  it.each([
    [
      302,
      { location: "https://sso.example.com/login?next=secret" },
      /sso\.example\.com\/login\. .*\n.*people sign in/,
    ],
    [307, { location: "/elsewhere/" }, /elsewhere/],
    [308, {}, /ORDERS_URL/],
    [403, {}, /Ask whoever runs it/],
    [404, {}, /ORDERS_URL/],
    [413, {}, /client_max_body_size/],
    [500, {}, /not known/],
    [502, {}, /Is the service running\?/],
    [503, {}, /Is the service running\?/],
    [504, {}, /not known/],
  ] as const)("a place that meets %i", async (status, headers, said) => {
    const url = await answering(status, { ...html, ...headers }, page("Oh"));
    const text = await saidOf(url, ...place);
    assert.include(text, `${url}/api/orders/`);
    assert.include(text, `${status}`);
    assert.match(text, said);
    assert.notInclude(text, "secret");
  });

  it.each([
    ["an empty body", "", /empty/],
    ["a body that is cut", '{"order_id":"S1","use', /cut|not the JSON/],
    ["another service's JSON", '{"hello":"world"}', /another version/],
  ])("a place that meets %s", async (_, body, said) => {
    const json = { "content-type": "application/json" };
    const text = await saidOf(await answering(201, json, body), ...place);
    assert.include(text, "201");
    assert.match(text, said);
    assert.include(text, "not known");
  });

  it("the service itself, where it says more than the contract has", async () => {
    const url = await answering(
      421,
      { "content-type": "application/problem+json" },
      JSON.stringify({
        type: "urn:order-service:misdirected",
        status: 421,
        title: "This service does not go by that name",
        detail: "Add it to ALLOWED_HOSTS.",
      }),
    );
    const text = await saidOf(url, "list");
    assert.include(text, "does not go by that name: Add it to ALLOWED_HOSTS.");
  });
});

describe("an import through a proxy that takes small bodies only", () => {
  /** Passes on what has at most so many bytes; answers the rest as nginx does. */
  const smallBodies = (service: string, max: number) =>
    serve((incoming, response) => {
      if (Number(incoming.headers["content-length"]) > max) {
        incoming.resume();
        response.writeHead(413, html).end(page("413 Request Entity Too Large"));
        return;
      }
      const { headers, method, url } = incoming;
      const onward = request(`${service}${url}`, { method, headers });
      onward.once("response", (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(onward);
    });

  it("halves its batches, and refuses only the row that is too large alone", async () => {
    const service = await heldService(Number.POSITIVE_INFINITY);
    closing.push(service.close);
    const url = await smallBodies(service.url, 2_000);
    const file = join(directory, "many.ndjson");
    const row = (id: number, more = "") =>
      JSON.stringify({
        ...{ order_id: `P${id}`, user_id: `U${more}`, item_ids: ["I"] },
        total_amount: 1,
      });
    const rows = Array.from({ length: 300 }, (_, id) =>
      row(id, id === 150 ? "x".repeat(3_000) : ""),
    );
    await writeFile(file, rows.join("\n"));
    const ended = await runHere({ args: ["import", file, "--url", url] });
    assert.deepInclude(JSON.parse(ended.stdout), { placed: 299, rejected: 1 });
    assert.lengthOf(new Set(service.sent), 299);
    const refused = JSON.parse(
      await readFile(`${file}.rejected.ndjson`, "utf8"),
    );
    assert.deepInclude(refused, { line: 151, status: 413 });
    assert.match(refused.reason, /413 by nginx/);
  });
});
