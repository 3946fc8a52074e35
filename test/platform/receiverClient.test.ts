/** The client for receivers, against a real server on this machine. */
import type { LookupAddress } from "node:dns";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer } from "effect";
import { HttpClient, HttpClientRequest } from "effect/http";
import {
  layer,
  publicOnly,
  type Resolve,
} from "../../src/platform/ReceiverClient.ts";
import { codeOf } from "../../src/processor/ReceiverAnswer.ts";

const four = (address: string): LookupAddress => ({ address, family: 4 });

/** A public address that nothing here leads to. */
const elsewhere = "192.31.196.1";

/** A server on a loopback address that counts who comes. */
const server = Effect.acquireRelease(
  Effect.callback<{
    readonly port: number;
    readonly requests: Array<string>;
    readonly connections: () => number;
    readonly close: () => void;
  }>((resume) => {
    const requests: Array<string> = [];
    let connections = 0;
    const http = createServer((request, response) => {
      requests.push(`${request.method} ${request.headers.host}${request.url}`);
      if (request.url === "/moved") {
        response.writeHead(302, { location: "/there" }).end();
      } else response.end("thanks");
    });
    http.on("connection", () => {
      connections += 1;
    });
    http.listen(0, "127.0.0.1", () =>
      resume(
        Effect.succeed({
          port: (http.address() as AddressInfo).port,
          requests,
          connections: () => connections,
          close: () => {
            http.closeAllConnections();
            http.close();
          },
        }),
      ),
    );
  }),
  ({ close }) => Effect.sync(close),
);

const post = (url: string) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient;
    const response = yield* client.execute(
      HttpClientRequest.bodyText(HttpClientRequest.post(url), "[]"),
    );
    yield* response.text;
    return response.status;
  }).pipe(Effect.scoped);

/** The code it failed with. */
const refusalOf = (url: string) => Effect.map(Effect.flip(post(url)), codeOf);

describe("to public receivers only", () => {
  it.live.each(["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"])(
    "no connection is made to %s",
    (host) =>
      Effect.gen(function* () {
        const { connections, port } = yield* server;
        const code = yield* refusalOf(`http://${host}:${port}/`);
        assert.strictEqual(code, "EPRIVATE");
        assert.strictEqual(connections(), 0);
      }).pipe(Effect.provide(layer("public"))),
  );

  it.live("no connection is made to a name that leads to such", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* server;
      const asked: Array<string> = [];
      // A second answer would be a public one.
      const resolve: Resolve = (name, _, done) => {
        asked.push(name);
        done(null, [four(asked.length === 1 ? "127.0.0.1" : elsewhere)]);
      };
      for (const scheme of ["http", "https"]) {
        asked.length = 0;
        const code = yield* refusalOf(
          `${scheme}://receiver.example:${port}/`,
        ).pipe(Effect.provide(layer("public", resolve)));
        assert.strictEqual(code, "EPRIVATE", scheme);
        assert.deepStrictEqual(asked, ["receiver.example"]);
      }
      assert.strictEqual(connections(), 0);
    }),
  );

  it.live("a name is resolved once, and that is connected to", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* server;
      const resolved = yield* Deferred.make<void>();
      let asked = 0;
      // Rebinding: the address that is checked, and then another one.
      const resolve: Resolve = (_name, _options, done) => {
        asked += 1;
        done(null, [four(asked === 1 ? elsewhere : "127.0.0.1")]);
        Deferred.doneUnsafe(resolved, Effect.void);
      };
      const trying = yield* Effect.forkChild(
        post(`http://receiver.example:${port}/`).pipe(
          Effect.provide(layer("public", resolve)),
          Effect.timeout("1 second"),
          Effect.flip,
        ),
      );
      yield* Deferred.await(resolved);
      yield* Fiber.join(trying);
      assert.strictEqual(asked, 1);
      assert.strictEqual(connections(), 0);
    }),
  );

  it("of several addresses only the public ones are used", () => {
    const resolve: Resolve = (_name, _options, done) =>
      done(null, [four("10.0.0.1"), four(elsewhere), four("127.0.0.1")]);
    const got: Array<unknown> = [];
    publicOnly(resolve)("receiver.example", { all: true }, (...answer) =>
      got.push(answer),
    );
    publicOnly(resolve)("receiver.example", {}, (...answer) =>
      got.push(answer),
    );
    assert.deepStrictEqual(got, [
      [null, [four(elsewhere)]],
      [null, elsewhere, 4],
    ]);
  });

  it.live("a name that is not there is said to be so", () =>
    Effect.gen(function* () {
      const resolve: Resolve = (_name, _options, done) =>
        done(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []);
      const code = yield* refusalOf("http://receiver.example/").pipe(
        Effect.provide(layer("public", resolve)),
      );
      assert.strictEqual(code, "ENOTFOUND");
    }),
  );
});

describe("to any receiver", () => {
  it.live("it connects, and follows no redirect", () =>
    Effect.gen(function* () {
      const { port, requests } = yield* server;
      assert.strictEqual(yield* post(`http://localhost:${port}/a?b`), 200);
      assert.strictEqual(yield* post(`http://127.0.0.1:${port}/moved`), 302);
      assert.deepStrictEqual(requests, [
        `POST localhost:${port}/a?b`,
        `POST 127.0.0.1:${port}/moved`,
      ]);
    }).pipe(Effect.provide(layer("any"))),
  );

  it.live("it uses a connection again", () =>
    Effect.gen(function* () {
      const { connections, port } = yield* server;
      for (let n = 0; n < 3; n += 1) yield* post(`http://127.0.0.1:${port}/`);
      assert.strictEqual(connections(), 1);
    }).pipe(Effect.provide(Layer.fresh(layer("any")))),
  );
});
