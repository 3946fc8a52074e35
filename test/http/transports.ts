/** The ways to bring a request to the service: by a socket, or by a call. */
import { Agent, request as send } from "node:http";
import { framesOf, isStream } from "../support/sse.ts";
import type { Answer, Sent } from "./api.ts";

const hasFrames = (chunks: ReadonlyArray<Uint8Array>, frames: number) =>
  framesOf(Buffer.concat(chunks).toString("utf8")).length >= frames;

export interface Transport {
  /** Methods that cannot be asked for in this way. */
  readonly without: ReadonlyArray<string>;
  readonly request: (
    method: string,
    path: string,
    sent: Sent,
  ) => Promise<Answer>;
  readonly close: () => void;
}

const answerOf = (
  status: number,
  headers: Answer["headers"],
  bytes: Uint8Array,
): Answer => {
  const text = Buffer.from(bytes).toString("utf8");
  return {
    status,
    headers,
    bytes,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
};

/** Over HTTP, any path, header and body as they are. */
export const overSocket = (url: string): Transport => {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const { hostname, port } = new URL(url);
  return {
    without: [],
    request: (method, path, sent) =>
      new Promise<Answer>((resolve, reject) => {
        const { body, chunked = false, frames = 1, headers = {} } = sent;
        const length =
          body === undefined || chunked
            ? {}
            : { "content-length": Buffer.byteLength(body) };
        const request = send(
          {
            agent,
            hostname,
            port,
            method,
            path,
            headers: { ...length, ...headers },
          },
          (response) => {
            const chunks: Array<Buffer> = [];
            const isOver = () =>
              resolve(
                answerOf(
                  response.statusCode ?? 0,
                  response.headers as Answer["headers"],
                  Buffer.concat(chunks),
                ),
              );
            response.on("error", reject);
            response.on("end", isOver);
            response.on("data", (chunk) => {
              chunks.push(chunk);
              if (
                isStream(response.headers["content-type"]) &&
                hasFrames(chunks, frames)
              ) {
                isOver();
                response.destroy();
              }
            });
          },
        );
        request.on("error", reject);
        if (chunked) request.write(body);
        request.end(chunked ? undefined : body);
      }),
    close: () => agent.destroy(),
  };
};

/** Without a socket: as the service's own server would be called. */
export const overFetch = (
  fetch: (request: Request) => Promise<Response>,
): Transport => ({
  // A `Request` may not have it.
  without: ["TRACE"],
  request: async (method, path, sent) => {
    const { body, chunked = false, frames = 1, headers = {} } = sent;
    const length =
      body === undefined || chunked
        ? {}
        : { "content-length": String(Buffer.byteLength(body)) };
    const response = await fetch(
      new Request(`http://order-service${path}`, {
        method,
        headers: { ...length, ...headers },
        body: (body ?? null) as BodyInit | null,
      }),
    );
    const chunks: Array<Uint8Array> = [];
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      if (
        isStream(response.headers.get("content-type")) &&
        hasFrames(chunks, frames)
      ) {
        break;
      }
    }
    return answerOf(
      response.status,
      {
        ...Object.fromEntries(response.headers),
        // The record has but the last of several.
        ...(response.headers.has("set-cookie")
          ? { "set-cookie": response.headers.getSetCookie().join(", ") }
          : {}),
      },
      Buffer.concat(chunks),
    );
  },
  close: () => {},
});
