/** Asks the hosts of `DATABASE_URL` what they are, and whether they speak TLS. */
import * as Net from "node:net";
import type { ConnectionOptions } from "node:tls";
import { PgConnection } from "@effect/sql-pg";
import { Duration, Effect, Schema } from "effect";
import { describe } from "../persistence/DatabaseFault.ts";
import * as DetachedStatement from "../persistence/DetachedStatement.ts";
import { type DatabaseUrl, type Host, isLoopback } from "./DatabaseUrl.ts";
import type { Role } from "./Primary.ts";

/** How long a host may take to say what it is. */
const askTimeout = Duration.seconds(2);

export interface PostgresHosts {
  /** How a host is spoken to, as far as is known: TLS, or plain text. */
  readonly tls: (host: Host) => ConnectionOptions | false;
  readonly ask: (host: Host) => Effect.Effect<Role, unknown>;
  /**
   * Whether a session of this service works on a statement for long, or waits
   * for a standby. Fails with no error: a host that cannot be asked does not.
   */
  readonly isAtWork: (host: Host) => Effect.Effect<boolean>;
}

class DoesNotAnswer extends Schema.TaggedError<DoesNotAnswer>()(
  "DoesNotAnswer",
  {},
) {}

/** One that waits for its client is not at work: the network is at fault. */
const atWork = `SELECT EXISTS (
  SELECT FROM pg_stat_activity
  WHERE application_name = 'order-service' AND usename = current_user
    AND datname = current_database() AND pid <> pg_backend_pid()
    AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
    AND query_start < clock_timestamp() - interval '5 seconds'
) AS answer`;

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

    const question = (host: Host, text: string) =>
      DetachedStatement.within(
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* PgConnection.make({
              url: host.url,
              ssl: tls(host),
              applicationName: "order-service",
            });
            const { rows } = yield* connection.query(text, []);
            return rows[0]?.answer;
          }),
        ),
        askTimeout,
      );

    const askForRole = (host: Host) =>
      Effect.map(
        question(
          host,
          "SELECT current_setting('transaction_read_only') AS answer",
        ),
        (readOnly) => (readOnly === "off" ? "primary" : "read-only"),
      );

    return {
      tls,
      ask: (host) =>
        encryption(host)._tag === "IfOffered"
          ? Effect.andThen(askForTls(host), askForRole(host))
          : askForRole(host),
      isAtWork: (host) =>
        question(host, atWork).pipe(
          Effect.map((isAtWork) => isAtWork === true),
          // A server without room for one more session does answer.
          Effect.catch((error) =>
            Effect.succeed(describe(error).reason.includes("53300")),
          ),
        ),
    } satisfies PostgresHosts;
  });
