/** Asks the hosts of `DATABASE_URL` what they are, and whether they speak TLS. */
import * as Net from "node:net";
import type { ConnectionOptions } from "node:tls";
import { PgConnection } from "@effect/sql-pg";
import { Duration, Effect, Schema } from "effect";
import { type DatabaseUrl, type Host, isLoopback } from "./DatabaseUrl.ts";
import type { Role } from "./Primary.ts";

/** How long a host may take to say what it is. */
const askTimeout = Duration.seconds(2);

export interface PostgresHosts {
  /** How a host is spoken to, as far as is known: TLS, or plain text. */
  readonly tls: (host: Host) => ConnectionOptions | false;
  readonly ask: (host: Host) => Effect.Effect<Role, unknown>;
}

class DoesNotAnswer extends Schema.TaggedError<DoesNotAnswer>()(
  "DoesNotAnswer",
  {},
) {}

/** PostgreSQL's `SSLRequest`: the answer is `S`, for TLS, or another letter. */
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);

const offersTls = ({ name, port }: Host) =>
  Effect.callback<boolean, DoesNotAnswer>((resume) => {
    const socket = Net.connect({ host: name, port });
    const fail = () => resume(Effect.fail(new DoesNotAnswer()));
    socket.once("error", fail).once("close", fail);
    socket.once("data", (answer) => {
      resume(Effect.succeed(String(answer).startsWith("S")));
      socket.destroy();
    });
    socket.write(sslRequest);
    return Effect.sync(() => socket.destroy());
  }).pipe(Effect.timeout(askTimeout));

const warnOfPlainText = ({ name, port }: Host) =>
  Effect.logWarning(
    `the database at ${name}:${port} is spoken to in plain text: orders and the password can be read on the way; sslmode=verify-full in DATABASE_URL is safe`,
  );

export const make = ({ encryption, hosts }: DatabaseUrl) =>
  Effect.gen(function* () {
    /** Those that were asked and said no. */
    const inPlainText = new Set<Host>();

    for (const host of hosts) {
      if (encryption(host)._tag === "Never" && !isLoopback(host)) {
        yield* warnOfPlainText(host);
      }
    }

    const tls = (host: Host): ConnectionOptions | false => {
      const how = encryption(host);
      return how._tag === "Never" || inPlainText.has(host)
        ? false
        : how.options;
    };

    const askForTls = Effect.fnUntraced(function* (host: Host) {
      if (yield* offersTls(host)) {
        inPlainText.delete(host);
      } else if (!inPlainText.has(host)) {
        inPlainText.add(host);
        if (!isLoopback(host)) yield* warnOfPlainText(host);
      }
    });

    const askForRole = (host: Host) =>
      Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* PgConnection.make({
            url: host.url,
            ssl: tls(host),
            applicationName: "order-service",
          });
          const { rows } = yield* connection.query(
            "SELECT current_setting('transaction_read_only') AS read_only",
            [],
          );
          return rows[0]?.read_only === "off" ? "primary" : "read-only";
        }),
      ).pipe(Effect.timeout(askTimeout));

    return {
      tls,
      ask: (host) =>
        encryption(host)._tag === "IfOffered"
          ? Effect.andThen(askForTls(host), askForRole(host))
          : askForRole(host),
    } satisfies PostgresHosts;
  });
