/** Says in the log where everything is, once it is there. */
import { Effect, Layer } from "effect";
import { HttpServer } from "effect/http";
import { NetAddress } from "effect/net";
import { Database } from "../persistence/Database.ts";

export const logListening = (base: string) =>
  Effect.logInfo(`listening on ${base}`);

/** What is ready: where the orders are, in words, and whether it needs keys. */
export interface Ready {
  readonly data: string;
  readonly access: "open" | "keys";
}

/** @param base where it is served; left out when that is not known */
export const logReady = ({ access, data }: Ready, base: string | undefined) =>
  Effect.logInfo(
    base === undefined
      ? `ready\n  Data  ${data}`
      : `ready
  API   ${base}/api/orders/
  Docs  ${base}/docs
  Data  ${data}
  Try   curl -i ${base}/api/orders/ ${access === "open" ? "" : "-H 'authorization: Bearer osk_...' "}-H 'content-type: application/json' -d '{"order_id":"ORD001","user_id":"USER001","item_ids":["ITEM001"],"total_amount":99.99}'`,
  );

export interface AnnouncementOptions extends Ready {
  /** Who says it for all instances, if there is somebody. */
  readonly supervisor:
    | { readonly tellReady: (base: string) => Effect.Effect<void> }
    | undefined;
}

export const layer = ({ supervisor, ...ready }: AnnouncementOptions) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer;
      const database = yield* Database;
      // Served by somebody else's server (`FetchService.ts`), it knows no URL.
      const base = NetAddress.isUnixPathAddress(address)
        ? undefined
        : HttpServer.formatAddress(address).replace(
            /0\.0\.0\.0|\[::\]/,
            "localhost",
          );
      const isSaidForAll = supervisor !== undefined && base !== undefined;
      if (base !== undefined && !isSaidForAll) yield* logListening(base);
      yield* database.migrated.pipe(
        Effect.andThen(
          isSaidForAll
            ? Effect.andThen(
                Effect.logInfo("instance ready"),
                supervisor.tellReady(base),
              )
            : logReady(ready, base),
        ),
        Effect.forkScoped,
      );
    }),
  );
