/**
 * An answer that is not the order service's: a proxy's, a sign-in page's,
 * another service's, or one that was cut. Its message says what answered, with
 * status and address, and what that means for the request.
 */
import { Context, Effect, Option, Schema } from "effect";
import {
  HttpClient,
  HttpClientError,
  type HttpClientResponse,
} from "effect/http";

type Response = HttpClientResponse.HttpClientResponse;

/** The reason of an `HttpClientError`; `request` and `response` are in it. */
export class ForeignAnswer extends HttpClientError.DecodeError {
  readonly isForeign = true;
  override get message(): string {
    return this.description ?? super.message;
  }
}

/** An answer 407: `fetch` hides it, and fails without a reason instead. */
export class HiddenAnswer extends HttpClientError.TransportError {
  readonly isForeign = true;
  override get message(): string {
    return `${this.methodAndUrl} got an answer that fetch hides, as it does with 407: a proxy on the way asks for a sign-in.`;
  }
}

/** Bytes of a body in which its title or its problem is looked for. */
const headMax = 64 * 1024;
const quotedMax = 100;
const headTimeout = "5 seconds";

/** An address without its query, which may hold secrets. */
const plainAddress = (address: string, base?: string): string => {
  const url = URL.parse(address, base);
  if (url === null) return address.replace(/[?#].*$/s, "");
  return `${url.origin}${url.pathname}`;
};

/** Where a redirect points to. */
export const redirectTarget = (response: Response): string | undefined => {
  const { location } = response.headers;
  const isRedirect = response.status >= 300 && response.status < 400;
  return isRedirect && location !== undefined
    ? plainAddress(location, response.url)
    : undefined;
};

const quoted = (text: string): string =>
  `"${text.replace(/\s+/g, " ").trim().slice(0, quotedMax)}"`;

const readProblem = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      title: Schema.String,
      detail: Schema.optional(Schema.String),
    }),
  ),
);

/** What the body is, and what it says of itself. */
const contentOf = (response: Response, head: string | undefined): string => {
  const [type = ""] = (response.headers["content-type"] ?? "").split(";");
  const of = type === "" ? "a body of no declared type" : type.trim();
  if (head === undefined) return of;
  if (head.trim() === "") return "an empty body";
  if (type.trim() === "application/problem+json") {
    return Option.match(readProblem(head), {
      onNone: () => of,
      onSome: ({ detail, title }) =>
        detail === undefined ? title : `${title}: ${detail}`,
    });
  }
  const [, title] = /<title[^>]*>([^<]{1,1000})/i.exec(head) ?? [];
  if (title !== undefined) return `the page ${quoted(title)}`;
  return /json$/.test(type.trim())
    ? "JSON of another kind, of another version, or cut"
    : of;
};

/** What the status leaves open of a request that changes something. */
const meaningOf = ({ request, status }: Response): string => {
  const isCertain = status >= 300 && status < 500 && status !== 408;
  return request.method === "GET" || isCertain
    ? "This is no answer that the order service gives here."
    : "This is no answer that the order service gives here. Whether it did what was asked is not known.";
};

const describe = (response: Response, head: string | undefined): string => {
  const { headers, request, status } = response;
  const target = redirectTarget(response);
  const by = headers.server === undefined ? "" : ` by ${headers.server}`;
  const what =
    target === undefined
      ? `with ${contentOf(response, head)}`
      : `with a redirect to ${target}`;
  return `${request.method} ${plainAddress(response.url)} was answered ${status}${by} ${what}. ${meaningOf(response)}`;
};

export const foreignAnswer = (
  response: Response,
  cause?: unknown,
  head?: string,
) =>
  new HttpClientError.HttpClientError({
    reason: new ForeignAnswer({
      request: response.request,
      response,
      description: describe(response, head),
      cause,
    }),
  });

/** The beginning of a body; nothing where it does not come, or goes on. */
const headOf = (response: Response) =>
  response.arrayBuffer.pipe(
    Effect.timeout(headTimeout),
    Effect.map((body) => new TextDecoder().decode(body.slice(0, headMax))),
    Effect.orElseSucceed(() => undefined),
  );

/** Node's `fetch` gives each failure a reason, but for this one. */
const isHidden = ({ reason }: HttpClientError.HttpClientError): boolean => {
  if (reason._tag !== "TransportError") return false;
  const cause = reason.cause instanceof TypeError && reason.cause.cause;
  return cause instanceof Error && cause.message === "" && !("code" in cause);
};

/** Fails with a `HiddenAnswer` where that is what `fetch` fails with. */
export const revealed = HttpClient.transformResponse<
  HttpClientError.HttpClientError,
  never,
  HttpClientError.HttpClientError,
  never
>((send) =>
  Effect.mapError(send, (error) =>
    isHidden(error)
      ? new HttpClientError.HttpClientError({
          reason: new HiddenAnswer({
            request: error.request,
            cause: error.cause,
          }),
        })
      : error,
  ),
);

/** The answer to the call under way, once there is one. */
const Answered = Context.Reference<{ response?: Response }>(
  "client/ForeignAnswer/Answered",
  { defaultValue: () => ({}) },
);

/** Notes each answer for `explained`. */
export const noted = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.tap(client, (response) =>
    Effect.map(Answered, (answered) => {
      answered.response = response;
    }),
  );

const isForeign = (error: unknown, response: Response | undefined) =>
  response !== undefined &&
  (Schema.isSchemaError(error) ||
    (HttpClientError.isHttpClientError(error) &&
      error.response !== undefined &&
      !(error.reason instanceof ForeignAnswer)));

type Call = (request: never) => Effect.Effect<unknown, unknown>;

/**
 * The calls of a group whose client is `noted`: what cannot be decoded fails as
 * a `ForeignAnswer`. A `SchemaError` is then always about the request.
 *
 * @param isRead whether the client has read each body to its end
 */
export const explained = <Group extends object>(
  group: Group,
  { isRead = true }: { readonly isRead?: boolean } = {},
): Group =>
  Object.fromEntries(
    Object.entries(group as Record<string, Call>).map(([name, call]) => [
      name,
      (request: never) =>
        Effect.suspend(() => {
          const answered: { response?: Response } = {};
          return call(request).pipe(
            Effect.provideService(Answered, answered),
            Effect.catch((error) => {
              const { response } = answered;
              if (response === undefined || !isForeign(error, response)) {
                return Effect.fail(error);
              }
              // A stream that is taken for an answer might never end.
              return Effect.flatMap(
                isRead || response.status >= 300
                  ? headOf(response)
                  : Effect.undefined,
                (head) => Effect.fail(foreignAnswer(response, error, head)),
              );
            }),
          );
        }),
    ]),
  ) as Group;
