/**
 * Stops the start where a setting has no effect: its name is misspelt, its file
 * cannot be read, or another setting makes it meaningless. Ignored, a misspelt
 * FULFILLMENT_URL would have simulated work complete the orders.
 */
import { ConfigProvider, Duration, Effect, FileSystem } from "effect";
import { AppConfig, isLoopback } from "./AppConfig.ts";
import { editDistance, nearestName } from "./domain/NearestName.ts";
import { StartFailed } from "./platform/Runtime.ts";

const file = ".env";

/** The name of every setting, as `AppConfig` asks for it. */
const settingNames: ReadonlyArray<string> = (() => {
  const names = new Set<string>();
  const recorder = ConfigProvider.make((path) =>
    Effect.sync(() => {
      names.add(path.join("_"));
      return undefined;
    }),
  );
  Effect.runSync(AppConfig.parse(recorder));
  return Array.from(names);
})();

type Given = ReadonlyMap<string, string>;

/** The variables of a provider; those that are empty are not set. */
const variablesOf = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string> = [],
): Effect.Effect<ReadonlyArray<readonly [string, string]>> =>
  Effect.gen(function* () {
    const node = yield* Effect.orElseSucceed(
      provider.load(path),
      () => undefined,
    );
    if (node === undefined) return [];
    const below = yield* Effect.forEach(
      node._tag === "Record" ? node.keys : [],
      (key) => variablesOf(provider, [...path, key]),
    );
    return [
      ...(node.value === undefined || path.length === 0
        ? []
        : [[path.join("_"), node.value] as const]),
      ...below.flat(),
    ];
  });

/**
 * How many letters may be wrong. Short names such as HOST are near too many
 * others, which have nothing to do with this service.
 */
const mistakesIn = (letters: string): number =>
  letters.length < 7 ? -1 : letters.length < 11 ? 1 : 2;

/** Words that nobody else's settings begin with. */
const ownWords = ["FULFILLMENT", "PROCESSING", "SUBSCRIPTIONS"];

const ownWordOf = (name: string): string | undefined => {
  const [, first = ""] = /^([A-Z]+)_/.exec(name) ?? [];
  return ownWords.find((word) => editDistance(first, word) <= 1);
};

/** What Kubernetes and Docker set for each service that they know. */
const isOfOrchestrator = ([name, value]: readonly [string, string]): boolean =>
  /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(name) ||
  /^(tcp|udp|sctp):\/\//.test(value);

const faultOf = (name: string, given: Given): string | undefined => {
  const meant = nearestName(name, settingNames, mistakesIn);
  const word = ownWordOf(name);
  // With the right name beside it, a similar one is likely somebody else's.
  if (meant !== undefined && (word !== undefined || !given.has(meant))) {
    return `${name} is no setting of this service, so it would have no effect. Did you mean ${meant}? Then write ${meant}=... in its place`;
  }
  if (word === undefined) return undefined;
  const begunSo = settingNames.filter((one) => one.startsWith(`${word}_`));
  return `${name} is no setting of this service, so it would have no effect. Those that begin so are ${begunSo.join(", ")}: write one of these in its place, or remove it`;
};

/** Of more than these, the first are named. */
const namedMax = 5;

/** What is wrong with the names of these variables, in one line. */
export const unknownSettings = (given: Given): string | undefined => {
  const faults = Array.from(given)
    .filter(
      (variable) =>
        !settingNames.includes(variable[0]) && !isOfOrchestrator(variable),
    )
    .flatMap(([name]) => faultOf(name, given) ?? [])
    .slice(0, namedMax);
  return faults.length === 0 ? undefined : `${faults.join("; ")}.`;
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The settings in `.env`; there are none where there is no such file. */
const fromFile = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem;
  const bytes = yield* files.readFile(file).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeed(new Uint8Array()),
    ),
    Effect.mapError(
      ({ message }) =>
        new StartFailed({
          message: `${file} is there and cannot be read, so its settings would have no effect: let this user read it, or remove it (${message}).`,
        }),
    ),
  );
  const text = yield* Effect.try({
    try: () => utf8.decode(bytes),
    catch: () => notText,
  });
  if (text.includes("\0")) return yield* notText;
  return ConfigProvider.fromDotEnvContents(text);
});

const notText = new StartFailed({
  message: `${file} is no text in UTF-8, so its settings would have no effect: save it as UTF-8 (Windows PowerShell writes UTF-16 unless told -Encoding utf8).`,
});

/** Settings come from the environment, and for the rest from `.env`. */
export const fromEnvironmentAndFile = Effect.gen(function* () {
  const environment = yield* ConfigProvider.ConfigProvider;
  const provider = yield* fromFile;
  const variables = [
    ...(yield* variablesOf(provider)),
    ...(yield* variablesOf(environment)),
  ];
  const fault = unknownSettings(new Map(variables));
  if (fault !== undefined) return yield* new StartFailed({ message: fault });
  return provider;
});

export interface Circumstances {
  readonly access: "open" | "keys";
  /** Whether the program brings what an order is placed for. */
  readonly hasOwnWork: boolean;
}

/** What is wrong with the settings together, and what to do. */
const conflictOf = (
  config: AppConfig,
  { access, hasOwnWork }: Circumstances,
  isGiven: (name: string) => boolean,
): string | undefined => {
  if (hasOwnWork && config.fulfillmentUrl !== undefined) {
    return "FULFILLMENT_URL has no effect, because this program brings its own fulfilment: remove it";
  }
  if (
    config.fulfillmentSecret !== undefined &&
    config.fulfillmentUrl === undefined
  ) {
    return "FULFILLMENT_SECRET has no effect without FULFILLMENT_URL, and no receiver would be called for an order: set FULFILLMENT_URL, or remove FULFILLMENT_SECRET";
  }
  if (config.adminKey !== undefined && access === "open") {
    return "ADMIN_KEY has no effect while access is open, and anybody may do everything: set ACCESS=keys, or remove ADMIN_KEY";
  }
  if (
    access === "open" &&
    !isLoopback(config.host) &&
    config.allowedHosts === undefined
  ) {
    return `ACCESS=open with HOST=${config.host} needs ALLOWED_HOSTS, because a page of any site could read and place orders through the browser of a visitor (DNS rebinding): set the names by which the service is reached, such as ALLOWED_HOSTS=orders.example,10.0.0.7 (* is any), or set ACCESS=keys`;
  }
  if (config.databaseUrl === undefined && isGiven("DATABASE_POOL_SIZE")) {
    return "DATABASE_POOL_SIZE has no effect without DATABASE_URL, and orders would be stored in the embedded database: set DATABASE_URL, or remove DATABASE_POOL_SIZE";
  }
  if (config.archiveDir !== undefined && config.retention === undefined) {
    return "ARCHIVE_DIR has no effect without RETENTION, and no order would be archived: set RETENTION, such as 90 days, or remove ARCHIVE_DIR";
  }
  if (
    isGiven("RETRY_BASE") &&
    Duration.isGreaterThan(config.retryBase, config.retryCap)
  ) {
    return "RETRY_BASE has no effect above RETRY_CAP, which every wait would be cut to: set a longer RETRY_CAP, or a shorter RETRY_BASE";
  }
  return undefined;
};

/** Fails where a setting has no effect beside the others, or opens too much. */
export const checkTogether = Effect.fnUntraced(function* (
  config: AppConfig,
  circumstances: Circumstances,
) {
  const provider = yield* ConfigProvider.ConfigProvider;
  const given = new Map<string, boolean>();
  for (const name of ["DATABASE_POOL_SIZE", "RETRY_BASE"]) {
    const node = yield* Effect.orElseSucceed(
      provider.load([name]),
      () => undefined,
    );
    given.set(name, node?.value !== undefined);
  }
  const fault = conflictOf(
    config,
    circumstances,
    (name) => given.get(name) === true,
  );
  if (fault !== undefined) {
    return yield* new StartFailed({ message: `setting ${fault}.` });
  }
});
