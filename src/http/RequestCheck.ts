/**
 * Refuses what a request says and its endpoint does not read: a parameter of
 * the query that the contract does not name, and a body where none is taken.
 * Ignored, `?user=` would cancel the orders of all users.
 *
 * The names come from the contract (`api/Access`, `rulesOf`), so that no
 * endpoint can forget the check. It stands behind `Placing`, which answers
 * requests to place an order without a query.
 */
import { Context, Effect, Layer, Result } from "effect";
import {
  type FindMyWay,
  HttpServerRequest,
  HttpServerRespondable,
  type HttpServerResponse,
} from "effect/http";
import { pages, type Rule } from "../api/Access.ts";
import { rules } from "../api/Api.ts";
import { UnavailableProblem } from "../api/Problems.ts";
import * as JsonBody from "./JsonBody.ts";
import { refuse } from "./Placing.ts";
import * as RouteTable from "./RouteTable.ts";
import { isRecord, refusalOf, unknownNames } from "./UnknownNames.ts";

type Request = HttpServerRequest.HttpServerRequest;
type Response = HttpServerResponse.HttpServerResponse;
type Checked = Pick<Rule, "parameters" | "takesBody">;

/** The console's own files are the same, whatever stands in their query. */
const checkedPages = Object.entries(pages)
  .filter(([, needed]) => needed !== "anybody")
  .map(([path]) => ({
    method: "GET",
    path,
    value: { parameters: [], takesBody: true },
  }));

/** Any type: what is sent says nothing here, whatever it calls itself. */
const anyBody: JsonBody.BodyType = { is: () => true, name: "JSON" };

const noBody = () =>
  JsonBody.broken("This request takes no body: leave it out.");

/** What a body says where none is taken; `{}` says nothing. */
const faultsOfBody = (request: Request) =>
  JsonBody.useBytes(request, anyBody, (bytes) =>
    Effect.gen(function* () {
      if (bytes.byteLength === 0) return [];
      const body = Result.flatMap(JsonBody.textOf(bytes), JsonBody.jsonOf);
      return Result.isSuccess(body) && isRecord(body.success)
        ? unknownNames("payload", Object.keys(body.success), [])
        : yield* Effect.fail(noBody());
    }),
  ).pipe(
    Effect.mapError((error) =>
      error instanceof UnavailableProblem ? error : noBody(),
    ),
  );

export class RequestCheck extends Context.Service<
  RequestCheck,
  {
    /** Answers what is refused; `app` answers all else. */
    before<E, R>(
      app: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E, R | Request>;
  }
>()("http/RequestCheck") {
  static readonly layer = (routerConfig: Partial<FindMyWay.RouterConfig>) =>
    Layer.sync(RequestCheck, () => {
      const find = RouteTable.make<Checked>(
        [...rules.map((rule) => ({ ...rule, value: rule })), ...checkedPages],
        routerConfig,
      );

      const checkBody = <E, R>(
        request: Request,
        app: Effect.Effect<Response, E, R>,
      ): Effect.Effect<Response, E, R> =>
        Effect.matchEffect(faultsOfBody(request), {
          onSuccess: (faults): Effect.Effect<Response, E, R> =>
            faults.length === 0
              ? app
              : HttpServerRespondable.toResponse(refusalOf(faults)),
          onFailure: refuse,
        });

      return RequestCheck.of({
        before: (app) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const { method, url } = request;
            const start = url.indexOf("?");
            const hasBody = method !== "GET" && JsonBody.isSent(request);
            if (start === -1 && !hasBody) return app;
            const rule = find(method, url);
            if (rule === undefined) return app;
            const faults =
              start === -1
                ? []
                : unknownNames(
                    "query",
                    new URLSearchParams(url.slice(start)).keys(),
                    rule.parameters,
                  );
            if (faults.length > 0) {
              return HttpServerRespondable.toResponse(refusalOf(faults));
            }
            return hasBody && !rule.takesBody && method !== "HEAD"
              ? checkBody(request, app)
              : app;
          }),
      });
    });
}
