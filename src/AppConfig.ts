/** Every setting of the service: its name, its type, its default, its unit. */
import {
  ByteSize,
  Config,
  Duration,
  Option,
  Redacted,
  Result,
  Schema,
  SchemaIssue,
} from "effect";
import { IpNetwork } from "effect/net";
import { adminKeyLengthMax, adminKeyLengthMin } from "./domain/ApiKey.ts";
import {
  parseRateLimit,
  type RateLimit,
  rateLimitFault,
} from "./domain/RateLimit.ts";

/** A whole number from `min` on. */
const count = (name: string, fallback: number, min: number) =>
  Config.schema(
    Schema.NumberFromString.check(
      Schema.isInt({ message: "must be a whole number" }),
      Schema.isGreaterThanOrEqualTo(min, {
        message: `must be at least ${min}`,
      }),
    ),
    name,
  ).pipe(Config.withDefault(fallback));

/** A TCP port; 0 is any free one. */
const port = (name: string) =>
  Config.schema(
    Schema.NumberFromString.check(
      Schema.isInt({ message: "must be a whole number" }),
      Schema.isBetween(
        { minimum: 0, maximum: 65_535 },
        { message: "must be a port, 0 to 65535" },
      ),
    ),
    name,
  );

/**
 * Where a PostgreSQL is, with a password in it. There may be several hosts,
 * which is more than a URL can have: all but the first are left out here.
 */
const databaseUrl = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((url) =>
        /^postgres(ql)?:$/.test(
          URL.parse(url.replace(/^(\w+:\/\/([^/?#]*@)?[^/?#,]*),[^/?#]*/, "$1"))
            ?.protocol ?? "",
        )
          ? undefined
          : "must be a URL such as postgres://user:password@host:5432/database",
      ),
    ),
    name,
  ).pipe(Config.map((url) => Redacted.make(url)));

/** Where orders are posted to: there may be a token in it, but no password. */
const receiverUrl = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) => {
        const url = URL.parse(text);
        if (!/^https?:$/.test(url?.protocol ?? "")) {
          return "must be a URL such as https://host/path";
        }
        return url?.username === "" && url.password === ""
          ? undefined
          : "must hold no user or password: calls are signed with FULFILLMENT_SECRET";
      }),
    ),
    name,
  ).pipe(Config.map((text) => Redacted.make(new URL(text))));

const isHost = (host: string) =>
  host === "*" ||
  (/^[^\s/\\?#@]+$/.test(host) && URL.canParse(`http://${host}`));

/** Names with or without a port, separated by commas; "*" is any. */
const hosts = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) =>
        hostsIn(text).every(isHost)
          ? undefined
          : "must be names such as orders.example, localhost:8000 or [::1]; or *",
      ),
    ),
    name,
  ).pipe(Config.map(hostsIn));

const hostsIn = (text: string): ReadonlyArray<string> =>
  text.split(",").map((host) => host.trim());

/** A secret that stands in a header as it is. */
const adminKey = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) =>
        text.length >= adminKeyLengthMin &&
        text.length <= adminKeyLengthMax &&
        /^[!-~]+$/.test(text)
          ? undefined
          : `must have ${adminKeyLengthMin} to ${adminKeyLengthMax} characters of ASCII without spaces, such as openssl rand -hex 32 gives`,
      ),
    ),
    name,
  ).pipe(Config.map((text) => Redacted.make(text)));

/** The column for `host#instance:port` has 255 characters (`cluster_runners`). */
const runnerHostMax = 240;

/** A name of this machine. */
const runnerHost = (name: string) =>
  Config.schema(
    Schema.NonEmptyString.check(
      Schema.makeFilter((text) =>
        text.length <= runnerHostMax
          ? undefined
          : `must have at most ${runnerHostMax} characters`,
      ),
    ),
    name,
  );

/** A limit such as 600/minute; `undefined` for "off". */
const rateLimit = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) =>
        text === "off" || parseRateLimit(text) !== undefined
          ? undefined
          : `${rateLimitFault}, or off`,
      ),
    ),
    name,
  ).pipe(
    Config.map(parseRateLimit),
    Config.withDefault<RateLimit | undefined>(undefined),
  );

/** Networks, or single addresses, separated by commas. */
const networks = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) =>
        networksIn(text).every(Result.isSuccess)
          ? undefined
          : "must be addresses or networks such as 10.0.0.0/8, 192.168.1.2 or fd00::/8",
      ),
    ),
    name,
  ).pipe(
    Config.map((text) => networksIn(text).map(Result.getOrThrow)),
    Config.withDefault<ReadonlyArray<IpNetwork.IpNetwork>>([]),
  );

const networksIn = (text: string) =>
  text.split(",").map((one) => {
    const network = one.trim();
    return IpNetwork.fromString(
      network.includes("/")
        ? network
        : `${network}/${network.includes(":") ? 128 : 32}`,
    );
  });

/** A length of time such as "1 second", "250 millis" or "5 minutes". */
const time = (name: string, fallback: Duration.Duration) =>
  Config.Duration(name).pipe(Config.withDefault(fallback));

/** What is shorter is a mistake: callers place again what they got no answer to. */
const retentionMin = Duration.seconds(1);

/** How long orders are kept. */
const retention = (name: string) =>
  Config.schema(
    Schema.String.check(
      Schema.makeFilter((text) => {
        const time = Duration.fromInput(text as Duration.Input);
        return Option.isSome(time) &&
          Duration.isGreaterThanOrEqualTo(time.value, retentionMin) &&
          Duration.isFinite(time.value)
          ? undefined
          : "must be a time of at least 1 second, such as 90 days; leave it out to keep orders for ever";
      }),
    ),
    name,
  ).pipe(
    Config.map((text) => Duration.fromInputUnsafe(text as Duration.Input)),
  );

/** A setting that may be left out. */
const optional = <A>(config: Config.Config<A>) =>
  Config.option(config).pipe(Config.map(Option.getOrUndefined));

/** As named in the environment. README, *Settings*, says what each is for. */
export const AppConfig = Config.all({
  host: Config.NonEmptyString("HOST").pipe(Config.withDefault("127.0.0.1")),
  port: port("PORT").pipe(Config.withDefault(8000)),
  allowedHosts: optional(hosts("ALLOWED_HOSTS")),
  access: optional(
    Config.schema(
      Schema.Literals(["open", "keys"]).annotate({
        message: "must be open or keys",
      }),
      "ACCESS",
    ),
  ),
  adminKey: optional(adminKey("ADMIN_KEY")),
  rateLimit: rateLimit("RATE_LIMIT"),
  trustedProxies: networks("TRUSTED_PROXIES"),
  runnerHost: optional(runnerHost("RUNNER_HOST")),
  runnerPort: optional(port("RUNNER_PORT")),
  databaseUrl: optional(databaseUrl("DATABASE_URL")),
  databasePoolSize: count("DATABASE_POOL_SIZE", 10, 1),
  dataDir: Config.NonEmptyString("DATA_DIR").pipe(Config.withDefault(".data")),
  processingTime: time("PROCESSING_TIME", Duration.seconds(1)),
  processingTimeout: time("PROCESSING_TIMEOUT", Duration.seconds(60)),
  processingConcurrency: count("PROCESSING_CONCURRENCY", 256, 1),
  maxAttempts: count("MAX_ATTEMPTS", 8, 1),
  retryBase: time("RETRY_BASE", Duration.seconds(1)),
  retryCap: time("RETRY_CAP", Duration.minutes(5)),
  fulfillmentUrl: optional(receiverUrl("FULFILLMENT_URL")),
  fulfillmentSecret: optional(Config.Redacted("FULFILLMENT_SECRET")),
  shutdownTimeout: time("SHUTDOWN_TIMEOUT", Duration.seconds(20)),
  maxBodySize: Config.ByteSize("MAX_BODY_SIZE").pipe(
    Config.withDefault(ByteSize.mebibytes(1)),
  ),
  maxBodies: Config.ByteSize("MAX_BODIES").pipe(
    Config.withDefault(ByteSize.mebibytes(64)),
  ),
  maxInFlight: count("MAX_IN_FLIGHT", 2000, 1),
  events: Config.schema(
    Schema.Literals(["on", "off"]).annotate({ message: "must be on or off" }),
    "EVENTS",
  ).pipe(
    Config.withDefault("on" as const),
    Config.map((events) => events === "on"),
  ),
  subscriptionsTo: optional(
    Config.schema(
      Schema.Literals(["public", "any"]).annotate({
        message: "must be public or any",
      }),
      "SUBSCRIPTIONS_TO",
    ),
  ),
  eventsRetention: time("EVENTS_RETENTION", Duration.days(7)),
  retention: optional(retention("RETENTION")),
  archiveDir: optional(Config.NonEmptyString("ARCHIVE_DIR")),
  sampleOrders: count("SAMPLE_ORDERS", 0, 0),
  logLevel: Config.LogLevel("LOG_LEVEL").pipe(
    Config.withDefault("Info" as const),
  ),
  logFormat: optional(Config.Literals(["pretty", "json"], "LOG_FORMAT")),
  otlpEndpoint: optional(Config.URL("OTEL_EXPORTER_OTLP_ENDPOINT")),
});

/** Whether only this machine reaches what listens there. */
export const isLoopback = (host: string): boolean =>
  /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host);

export type AppConfig = Config.Success<typeof AppConfig>;

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1();

/** Names the setting and what is wrong with it, in one line. */
export const settingFaults = ({ cause }: Config.ConfigError): string => {
  const faults = Schema.isSchemaError(cause)
    ? formatIssues(cause.issue).issues.map(
        ({ message, path }) => `${path?.map(String).join(".")}: ${message}`,
      )
    : [cause.message];
  return `setting ${faults.join("; ")}`;
};
