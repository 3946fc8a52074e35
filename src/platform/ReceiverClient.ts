/**
 * The HTTP client for receivers that others name. A name is resolved once for
 * each connection, and what was resolved is what is checked and connected to:
 * no second answer of a name server can lead elsewhere. A redirect is an answer
 * like any other, and not followed. An interim answer (1xx) is passed over, as
 * RFC 9110, 15.2 asks; `fetch` of Node fails on 100 Continue.
 *
 * Who calls bounds the connections: one for each order in work, and one for
 * each subscription.
 *
 * On Deno (2.9.5) `node:http` and `node:https` go by `lookup`, too.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { NodeHttpClient } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import {
  HttpClient,
  HttpClientError,
  type HttpClientRequest,
} from "effect/http";
import * as PrivateAddresses from "./PrivateAddresses.ts";
import type { ReceiverHosts } from "./Runtime.ts";

/** An idle one is closed before most servers would. */
const idleMillis = 4_000;

class Private extends Error {
  /** Told by this code (`SubscriptionDelivery`). */
  readonly code = "EPRIVATE";
}

type Resolved = (
  error: NodeJS.ErrnoException | null,
  addresses: ReadonlyArray<LookupAddress>,
) => void;

/** Asks for all addresses of a name. */
export type Resolve = (
  name: string,
  options: LookupOptions,
  done: Resolved,
) => void;

const resolve: Resolve = (name, options, done) =>
  lookup(name, { ...options, all: true }, done);

/** As `dns.lookup`, and gives only addresses that may be connected to. */
export const publicOnly =
  (resolve: Resolve) =>
  (
    name: string,
    options: LookupOptions,
    done: (
      error: NodeJS.ErrnoException | null,
      address: string | Array<LookupAddress>,
      family?: number,
    ) => void,
  ): void =>
    resolve(name, options, (error, addresses) => {
      if (error !== null) return done(error, []);
      const [first, ...rest] = addresses.filter(
        ({ address }) => !PrivateAddresses.isPrivate(address),
      );
      if (first === undefined) return done(new Private(), []);
      return options.all === true
        ? done(null, [first, ...rest])
        : done(null, first.address, first.family);
    });

/** An address in the place of a name is resolved by nobody. */
const refuseLiteral = HttpClient.mapRequestEffect(
  (request: HttpClientRequest.HttpClientRequest) =>
    Effect.suspend(() => {
      const hostname = URL.parse(request.url)?.hostname ?? "";
      return PrivateAddresses.isPrivateHost(hostname)
        ? Effect.fail(
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({
                request,
                cause: new Private(),
              }),
            }),
          )
        : Effect.succeed(request);
    }),
);

/** @param ask left out, the system's own resolver */
export const layer = (
  hosts: ReceiverHosts,
  ask: Resolve = resolve,
): Layer.Layer<HttpClient.HttpClient> => {
  const agent = {
    keepAlive: true,
    timeout: idleMillis,
  };
  if (hosts === "any") return NodeHttpClient.layerNodeHttpOptions(agent);
  return Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, refuseLiteral),
  ).pipe(
    Layer.provide(
      NodeHttpClient.layerNodeHttpOptions({
        ...agent,
        lookup: publicOnly(ask),
      }),
    ),
  );
};
