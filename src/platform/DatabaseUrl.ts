/**
 * `DATABASE_URL`, as far as the client does not read it itself: several hosts,
 * and TLS as libpq means it. No message of this file shows the URL, for there
 * is a password in it.
 */
import { readFileSync } from "node:fs";
import * as Tls from "node:tls";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import { Redacted, Result } from "effect";
import { nearestName } from "../domain/NearestName.ts";

/** A host of several, or the only one. */
export interface Host {
  /** A name, an address, or the directory of a Unix socket. */
  readonly name: string;
  readonly port: number;
  /** The URL with this host alone, without what is read here. */
  readonly url: Redacted.Redacted;
}

/** How to speak to a host. */
export type Encryption =
  /** In plain text. */
  | { readonly _tag: "Never" }
  /** By TLS where the host offers it; that proves nothing of the host. */
  | { readonly _tag: "IfOffered"; readonly options: ConnectionOptions }
  | { readonly _tag: "Always"; readonly options: ConnectionOptions };

export interface DatabaseUrl {
  /** One at least. */
  readonly hosts: ReadonlyArray<Host>;
  readonly encryption: (host: Host) => Encryption;
}

const sslmodes = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;
type SslMode = (typeof sslmodes)[number];

/** What is read here, and not by the client. */
const ownParameters = [
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "target_session_attrs",
] as const;
/** What the client reads, and uses. */
const clientParameters: ReadonlySet<string> = new Set([
  ...["host", "port", "user", "password", "dbname"],
  ...["options", "connect_timeout"],
]);

/** How other drivers name the schema. */
const schemaParameters: ReadonlySet<string> = new Set([
  ...["search_path", "searchPath", "schema", "currentSchema"],
]);

/**
 * Ignored, the tables would go to another schema, or the connection would be
 * less safe than was asked for.
 */
const unknownParameter = (
  name: string,
  value: string,
  shown: string,
): string => {
  if (schemaParameters.has(name)) {
    const schema = /^\w{1,63}$/.test(value) ? value : "NAME";
    return `${name} has no effect here, and the tables would go to another schema: write options=-c%20search_path%3D${schema} in its place`;
  }
  const known = [...ownParameters, ...clientParameters];
  const meant = nearestName(name, known);
  return meant === undefined
    ? `${shown.slice(0, 50)} has no effect here: remove it; what has an effect is ${known.join(", ")}`
    : `${shown.slice(0, 50)} has no effect here: did you mean ${meant}?`;
};

type Own = Partial<Record<(typeof ownParameters)[number], string>>;

/** A fault of the URL, in words that follow "DATABASE_URL: ". */
export const parse = (url: string): Result.Result<DatabaseUrl, string> =>
  Result.gen(function* () {
    const own = yield* ownParametersOf(url);
    const hosts = yield* hostsOf(url);
    const sslmode = yield* sslmodeOf(own);
    const encryption = yield* encryptionOf(sslmode, own);
    return {
      hosts,
      encryption: (host: Host): Encryption =>
        host.name.startsWith("/") || (sslmode === undefined && isLoopback(host))
          ? { _tag: "Never" }
          : encryption,
    };
  });

const encryptionOf = (
  sslmode: SslMode | undefined,
  own: Own,
): Result.Result<Encryption, string> => {
  const files = (["sslrootcert", "sslcert", "sslkey"] as const).filter(
    (name) => own[name] !== undefined,
  );
  switch (sslmode) {
    case "disable":
    case undefined:
    case "allow":
    case "prefer":
      if (files.length > 0) {
        return Result.fail(
          `${files.join(", ")} would have no effect with sslmode ${sslmode ?? "left out"}: write sslmode=verify-full`,
        );
      }
      if (sslmode === "disable") return Result.succeed({ _tag: "Never" });
      return Result.succeed({
        _tag: "IfOffered",
        options: { rejectUnauthorized: false },
      });
    default:
      return Result.map(optionsOf(sslmode, own), (options) => ({
        _tag: "Always",
        options,
      }));
  }
};

/** Whether what is said to a host stays on this machine. */
export const isLoopback = ({ name }: Host): boolean =>
  name.startsWith("/") ||
  /^(localhost|.*\.localhost|127\.[\d.]+|::1)$/.test(name);

const splitUrl = (url: string) => {
  const [, before = "", hosts = "", after = ""] =
    /^(\w+:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/.exec(url) ?? [];
  return { before, hosts: hosts.split(","), after };
};

const ownParametersOf = (url: string): Result.Result<Own, string> => {
  const query = URL.parse(`x:/?${url.split("?")[1] ?? ""}`)?.searchParams;
  const isInPassword = url.includes("@", url.indexOf("?"));
  const own: Own = {};
  for (const [name, value] of query ?? []) {
    const known = ownParameters.find((one) => one === name);
    if (known !== undefined) own[known] = value;
    else if (!clientParameters.has(name)) {
      // A "?" in a password that is not encoded makes a parameter of its rest.
      const shown = isInPassword ? "one of its parameters" : name;
      return Result.fail(unknownParameter(name, value, shown));
    }
  }
  const { target_session_attrs: target = "read-write" } = own;
  return target === "read-write" || target === "primary"
    ? Result.succeed(own)
    : Result.fail(
        `target_session_attrs can only be read-write: orders are written`,
      );
};

const hostsOf = (url: string): Result.Result<ReadonlyArray<Host>, string> => {
  const { after, before, hosts } = splitUrl(url);
  const parsed = hosts.flatMap((host): ReadonlyArray<Host> => {
    const one = URL.parse(`${before}${host}${after}`);
    if (one === null) return [];
    const name =
      one.searchParams.get("host") ?? (decode(one.hostname) || "localhost");
    const port = one.searchParams.get("port") ?? (one.port || "5432");
    for (const parameter of ownParameters) one.searchParams.delete(parameter);
    return [
      {
        name: name.replace(/^\[(.*)\]$/, "$1"),
        port: Number(port),
        url: Redacted.make(one.toString()),
      },
    ];
  });
  return parsed.length === hosts.length
    ? Result.succeed(parsed)
    : Result.fail("one of its hosts cannot be read");
};

/** SASLprep (RFC 4013): what becomes a space, and what goes away. */
const spaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
const dropped =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;

const saslprep = (text: string): string =>
  text.replace(spaces, " ").replace(dropped, "").normalize("NFKC");

/**
 * Why the database may refuse a password that is right: it has stored the
 * prepared one, and `@effect/sql-pg` sends the password as it is.
 */
export const loginHint = (url: string): string | undefined => {
  const parsed = URL.parse(url.replace(/^[^:]*:/, "http:"));
  const password =
    parsed?.searchParams.get("password") ?? decode(parsed?.password ?? "");
  return saslprep(password) === password
    ? undefined
    : "the password in DATABASE_URL has characters that PostgreSQL replaces (SASLprep, RFC 4013: a no-break space, a letter with a combining accent, a full-width letter), and this client does not replace them: no order can be stored. Give the role a password of ASCII characters, or write the characters that replace them into DATABASE_URL";
};

const decode = (text: string) => {
  try {
    return decodeURIComponent(text);
  } catch {
    // The client will say what is wrong with it.
    return text;
  }
};

/** `undefined`: not said. */
const sslmodeOf = (own: Own): Result.Result<SslMode | undefined, string> => {
  const isSystem = own.sslrootcert === "system";
  const asked = own.sslmode ?? (isSystem ? "verify-full" : undefined);
  if (asked === undefined) return Result.succeed(undefined);
  const sslmode = sslmodes.find((one) => one === asked);
  if (sslmode === undefined) {
    return Result.fail(`sslmode has to be one of ${sslmodes.join(", ")}`);
  }
  return isSystem && sslmode !== "verify-full"
    ? Result.fail("sslrootcert=system needs sslmode=verify-full")
    : Result.succeed(sslmode);
};

/** How a host has to prove who it is. */
const optionsOf = (
  sslmode: SslMode,
  { sslcert, sslkey, sslrootcert }: Own,
): Result.Result<ConnectionOptions, string> =>
  Result.gen(function* () {
    const ca =
      sslrootcert === undefined || sslrootcert === "system"
        ? systemRoots()
        : yield* read("sslrootcert", sslrootcert);
    const cert =
      sslcert === undefined ? undefined : yield* read("sslcert", sslcert);
    const key =
      sslkey === undefined ? undefined : yield* read("sslkey", sslkey);
    const secureContext = yield* Result.try({
      try: () =>
        createSecureContext({
          ...(ca === undefined ? {} : { ca }),
          ...(cert === undefined ? {} : { cert }),
          ...(key === undefined ? {} : { key }),
        }),
      catch: (error) =>
        `its certificates cannot be used: ${(error as Error).message}`,
    });
    return {
      secureContext,
      // As libpq does: with a root certificate, `require` is `verify-ca`.
      rejectUnauthorized: sslmode !== "require" || sslrootcert !== undefined,
      ...(sslmode === "verify-full"
        ? {}
        : { checkServerIdentity: () => undefined }),
    };
  });

/** Those of the operating system, too, where the runtime tells them. */
const systemRoots = () =>
  "getCACertificates" in Tls
    ? [...Tls.getCACertificates("default"), ...Tls.getCACertificates("system")]
    : undefined;

const read = (parameter: string, path: string): Result.Result<string, string> =>
  Result.flatMap(
    Result.try({
      try: () => readFileSync(path, "utf8"),
      catch: (error) =>
        `${parameter} "${path}" cannot be read (${(error as { code?: string }).code ?? (error as Error).name})`,
    }),
    (text) =>
      text.includes("-----BEGIN ")
        ? Result.succeed(text)
        : Result.fail(`${parameter} "${path}" has nothing in PEM in it`),
  );
