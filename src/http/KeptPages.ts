/**
 * Pages that are the same for everybody as long as the process lives: the docs,
 * the OpenAPI document, the console. They are made and compressed when they are first
 * asked for, and kept: however many readers there are, there is one copy.
 */
import { Context, Effect, Layer, Semaphore } from "effect";
import { HttpServerRequest, HttpServerResponse } from "effect/http";
import { isKnown } from "./OrderResponses.ts";

const paths: ReadonlySet<string> = new Set(["", "/docs", "/openapi.json"]);

/**
 * Only what is answered 200 is kept, by a path in which nothing is encoded: it
 * is one way to write it, so there are as many as files.
 */
const isKept = (path: string) =>
  paths.has(path) || /^\/console\/[\w.-]+$/.test(path);

interface KeptPage {
  readonly contentType: string;
  readonly etag: string;
  readonly plain: Uint8Array;
  readonly gzip: Uint8Array;
}

type Response = HttpServerResponse.HttpServerResponse;

const pathOf = (url: string) => (url.split("?", 1)[0] ?? "").replace(/\/$/, "");

/** Whether an `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3). */
export const acceptsGzip = (acceptEncoding: string | undefined): boolean => {
  const weights = new Map(
    (acceptEncoding ?? "").split(",").map((item) => {
      const [name = "", ...parameters] = item.toLowerCase().split(";");
      const q = parameters.map((_) => /^\s*q\s*=\s*([\d.]+)\s*$/.exec(_)?.[1]);
      return [name.trim(), Number(q.find((_) => _ !== undefined) ?? 1)];
    }),
  );
  return (weights.get("gzip") ?? weights.get("*") ?? 0) > 0;
};

const hexOf = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

/** Bytes of its own: what Effect answered with may be text. */
const keep = async (response: Response): Promise<KeptPage> => {
  const plain = await HttpServerResponse.toWeb(response).arrayBuffer();
  const digest = await crypto.subtle.digest("SHA-256", plain);
  const gzip = new Blob([plain])
    .stream()
    .pipeThrough(new CompressionStream("gzip"));
  return {
    contentType: response.headers["content-type"] ?? "text/html",
    // Weak: the same page, compressed or not.
    etag: `W/"${hexOf(digest.slice(0, 12))}"`,
    plain: new Uint8Array(plain),
    gzip: new Uint8Array(await new globalThis.Response(gzip).arrayBuffer()),
  };
};

const answer = (
  { contentType, etag, gzip, plain }: KeptPage,
  { headers }: HttpServerRequest.HttpServerRequest,
): Response => {
  const always = {
    etag,
    vary: "Accept-Encoding",
    // Asked again each time, which costs no more than a 304.
    "cache-control": "no-cache",
  };
  if (isKnown(headers["if-none-match"], etag.replace("W/", ""))) {
    return HttpServerResponse.empty({ status: 304, headers: always });
  }
  return acceptsGzip(headers["accept-encoding"])
    ? HttpServerResponse.uint8Array(gzip, {
        contentType,
        headers: { ...always, "content-encoding": "gzip" },
      })
    : HttpServerResponse.uint8Array(plain, { contentType, headers: always });
};

export class KeptPages extends Context.Service<
  KeptPages,
  {
    /** Answers what is kept, once `app` has; `app` answers all else. */
    before<E, R>(
      app: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest>;
  }
>()("http/KeptPages") {
  static readonly layer = Layer.effect(
    KeptPages,
    Effect.gen(function* () {
      const kept = new Map<string, KeptPage>();
      // Made by the first who asks; the others wait for it.
      const making = yield* Semaphore.make(1);

      const make = <E, R>(
        path: string,
        request: HttpServerRequest.HttpServerRequest,
        app: Effect.Effect<Response, E, R>,
      ) =>
        Effect.gen(function* () {
          const before = kept.get(path);
          if (before !== undefined) return answer(before, request);
          const response = yield* app;
          if (response.status !== 200) return response;
          const page = yield* Effect.promise(() => keep(response));
          kept.set(path, page);
          return answer(page, request);
        }).pipe(making.withPermit);

      return KeptPages.of({
        before: (app) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const { method, url } = request;
            const isAsked =
              !url.startsWith("/api/") &&
              (method === "GET" || method === "HEAD") &&
              isKept(pathOf(url));
            if (!isAsked) return app;
            const page = kept.get(pathOf(url));
            return page === undefined
              ? make(pathOf(url), request, app)
              : Effect.succeed(answer(page, request));
          }),
      });
    }),
  );
}
